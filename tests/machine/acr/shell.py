"""The shell commands of one run, which are killed with it."""

from __future__ import annotations

import codecs
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["Shell", "TimedOutError"]

_BLOCK = 64 * 1024


class TimedOutError(Exception):
    """A command exceeded its timeout."""


class Shell:
    """Runs commands by `/bin/sh -c`, and kills them when it is stopped.

    Args:
        environment: of the commands; nothing of this process's own gets in.
        folder: where they run.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self.folder = folder
        self._stopping = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(
        self, text: str, say: Callable[[str], None], *, seconds: float, folder: Path | None = None
    ) -> int:
        """Run a command, pass its output to *say*, and return its exit code.

        Raises:
            TimedOutError: it had to be killed after *seconds*.
        """
        process = self._start(text, folder or self.folder)
        if process is None:
            return -signal.SIGKILL
        late = threading.Event()

        def expire() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            _pass_on(process, say)
            code = process.wait()
        finally:
            timer.cancel()
            with self._lock:
                self._running.discard(process)
        if late.is_set():
            raise TimedOutError
        return code

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, until it is stopped at most."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Kill what runs, and start no other command."""
        with self._lock:
            self._stopping.set()
            for process in self._running:
                _kill(process)

    def _start(self, text: str, folder: Path) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self.stopped:
                return None
            process = subprocess.Popen(
                ["/bin/sh", "-c", text],
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            return process


def _pass_on(process: subprocess.Popen[bytes], say: Callable[[str], None]) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    assert process.stdout
    with process.stdout as output:
        while block := os.read(output.fileno(), _BLOCK):
            if text := decoder.decode(block):
                say(text)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
