"""Commands that a person watches, and their end in good order when this process is told to end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import NoReturn

__all__ = ["end", "orderly", "run"]

_PATIENCE = 30.0
_TERMINATED = 143
_running: set[subprocess.Popen[bytes]] = set()
_ended = threading.Event()


@contextmanager
def orderly() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end this process by way of every `finally`, with 143 and 130."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    shown: Sequence[str] | None = None,
    output: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run *command* in *folder*, shown on stderr as a person would type it; returns its exit code.

    Its own output goes into the file *output*, where one is named; *env* comes on top of this process's variables.

    When this process is interrupted, the command gets SIGTERM and time to clean up after itself.
    """
    words = [str(word) for word in command]
    print(f"$ {shlex.join(shown or words)}", file=sys.stderr, flush=True)  # a script's own progress
    if _ended.is_set():
        raise SystemExit(_TERMINATED)
    with output.open("wb") if output else nullcontext() as into:
        process = subprocess.Popen(
            words, cwd=folder, env={**os.environ, **(env or {})}, stdout=into, stderr=into
        )
    _running.add(process)
    try:
        return process.wait()
    except BaseException:
        end(process, patience=_PATIENCE)
        raise
    finally:
        _running.discard(process)


def end(process: subprocess.Popen[bytes], *, patience: float) -> None:
    """Ask *process* to end, and end it where it has not after *patience* seconds."""
    process.terminate()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    _ended.set()  # What runs beside, in another thread, gets no signal and starts nothing more.
    for process in list(_running):
        process.terminate()
    raise SystemExit(_TERMINATED)
