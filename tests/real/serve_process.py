"""`image.serve` as a process, and a client of its server."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.machine import invoke_cli
from tests.real.support import Consumer, started_command

__all__ = ["Serving", "ask", "free_port", "serving"]

_PATIENCE = 300.0
"""Seconds after which a text that does not come, or a server that does not answer, fails the test."""
_PORTS_FOR_ANYBODY = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The first and the last of the ports that the system gives to who asks for any: ip(7)."""


class Serving:
    """`image.serve` as a process, and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed, self.log = "", ""
        self._changed = threading.Condition()
        self._open = 2
        self._threads = [threading.Thread(target=self._read, args=(name,)) for name in ("stderr", "stdout")]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str) -> None:
        for line in getattr(self.process, name):
            with self._changed:
                if name == "stderr":
                    self.printed += line
                else:
                    self.log += line
                self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until *text* was printed so many times, by the command or by the container."""
        with self._changed:
            self._changed.wait_for(lambda: self._count(text) >= times or not self._open, _PATIENCE)
        assert self._count(text) >= times, self.printed + self.log

    def command(self) -> str:
        """Return the curl that was printed."""
        return next(line for line in self.printed.splitlines() if line.startswith("    curl "))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the command for the block, so that it sees at once all that the block changes."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def change(self, files: Mapping[Path, str | None]) -> None:
        """Write each file its text, or remove it for None; the command sees all of that at once."""
        with self.stopped():
            for path, text in files.items():
                if text is None:
                    path.unlink()
                else:
                    path.write_text(text, encoding="utf-8")

    def _count(self, text: str) -> int:
        return self.printed.count(text) + self.log.count(text)

    def end(self, by: signal.Signals) -> int:
        """Send the signal to the process, and return its exit code."""
        self.process.send_signal(by)
        code = self.process.wait()
        for thread in self._threads:
            thread.join()
        return code


@contextmanager
def serving(project: Consumer, *words: str) -> Iterator[Serving]:
    """Run `image.serve` for the block."""
    invoke_cli.compiled()
    with started_command(project, "image.serve", *words) as process:
        served = Serving(process)
        try:
            yield served
        finally:
            served.end(signal.SIGKILL)


def free_port() -> int:
    """Return a port that nobody has, and that the system gives to nobody who asks for any."""
    above = int(_PORTS_FOR_ANYBODY.read_text(encoding="ascii").split()[0])
    while True:
        port = above // 2 + secrets.randbelow(above // 2)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def ask(port: int) -> Any:
    """Return the server's answer."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/score", b'{"list": true}', headers, method="POST"
    )
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        return json.load(answer)
