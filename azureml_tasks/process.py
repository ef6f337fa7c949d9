"""Other programs, started with a list of arguments and never through a shell; nothing else may start one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Finished", "MissingProgram", "capture", "capturing", "stream"]

_GRACE = 2.0
"""Seconds that a program gets to end after it was asked to: docker's client 20.10 now and then stays for good,
and an engine ends a build by itself when its client is gone."""


class Finished(NamedTuple):
    """How a program ended, and what it printed."""

    code: int
    stdout: str
    stderr: str


class MissingProgram(Exception):
    """The program is not on PATH; the message is its name."""


def capture(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Finished:
    """Run *argv* to its end without input.

    Raises:
        MissingProgram: it is not on PATH.
    """
    with capturing([argv], cwd=cwd, env=env) as finished:
        return finished()[0]


@contextlib.contextmanager
def capturing(
    argvs: Sequence[Sequence[str]], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Callable[[], list[Finished]]]:
    """Start each of *argvs* without input, for a block that calls what it is given once, to wait for their ends.

    Raises:
        MissingProgram: one is not on PATH.
    """
    environment, null, pipe = {**os.environ, **(env or {})}, subprocess.DEVNULL, subprocess.PIPE
    with contextlib.ExitStack() as stack:
        started = []
        for argv in argvs:
            try:
                child = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=null, stdout=pipe, stderr=pipe)
            except FileNotFoundError as error:
                raise MissingProgram(argv[0]) from error
            started.append(stack.enter_context(child))
            stack.push(lambda kind, _error, _trace, child=child: child.kill() if kind else None)
        yield lambda: [_finished(child) for child in started]


def _finished(child: subprocess.Popen[bytes]) -> Finished:
    out, err = (stream.decode(errors="replace") for stream in child.communicate())
    return Finished(code=child.returncode, stdout=out, stderr=err)


def stream(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    feed: Iterable[bytes],
    line: Callable[[str], None],
) -> int:
    """Run *argv* with *feed* as its input, and hand each line that it prints to *line* as it comes.

    Returns:
        Its exit code. Where anything is raised meanwhile (Ctrl-C, an error in *feed*), the program
        is ended first.

    Raises:
        MissingProgram: it is not on PATH.
    """
    try:
        child = subprocess.Popen(
            argv,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error
    try:
        failures: list[BaseException] = []
        feeder = threading.Thread(target=_feed, args=(child, feed, failures), daemon=True)
        feeder.start()
        for printed in child.stdout or ():
            line(printed.decode(errors="replace").rstrip("\r\n"))
        code = child.wait()
        feeder.join()
    except BaseException:
        _end(child)
        raise
    finally:
        if child.stdout:
            child.stdout.close()
    if failures:
        raise failures[0]
    return code


def _feed(child: subprocess.Popen[bytes], feed: Iterable[bytes], failures: list[BaseException]) -> None:
    assert child.stdin is not None  # noqa: S101 -- it was asked for as a pipe
    try:
        for block in feed:
            child.stdin.write(block)
    except BrokenPipeError:
        pass  # It ended before it had read everything: its exit code says why.
    except BaseException as error:  # noqa: BLE001 -- raised again by the thread that waits
        failures.append(error)
        child.terminate()
    finally:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
