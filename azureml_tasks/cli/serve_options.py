"""What `image.serve` takes from flags and from a terminal."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.commands.serve_session import DEFAULT_PORT
from azureml_tasks.engines.docker.served_container import LAST_PORT, Ports
from azureml_tasks.errors import Problem, SettingsError

if TYPE_CHECKING:
    from azureml_tasks.cli.options import TaskRun

_LONGEST = 4096  # bytes of one line


def ports_of(run: TaskRun) -> Ports:
    """Return the ports that `--port` and `--debug` name.

    Raises:
        SettingsError: one is no port, or both are the same.
    """
    problems: list[Problem] = []
    server = _port("--port", run.flag("port") or str(DEFAULT_PORT), problems)
    debugger = _port("--debug", run.flag("debug") or "0", problems) if run.flag("debug") else 0
    if server == debugger != 0:
        problems.append(Problem("--debug", 0, f"is {debugger}, which is the server's port", "--debug 5678"))
    if problems:
        raise SettingsError(problems)
    return Ports(server, debugger)


def _port(flag: str, text: str, problems: list[Problem]) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text[:9]) <= LAST_PORT:
        return int(text)
    problems.append(Problem(flag, 0, f'is "{text}", which is not a port', f"Ports: 1 to {LAST_PORT}."))
    return 0


@dataclass
class BuildKey:
    """The letter b and Enter, with which a person asks for a build.

    Args:
        is_open: whether there is a terminal to read it from.
    """

    is_open: bool

    @classmethod
    def of_terminal(cls) -> BuildKey:
        """Return the key of this process's terminal."""
        is_terminal = bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())
        return cls(is_open=is_terminal and sys.platform != "win32")  # Windows waits for sockets alone.

    def was_pressed(self) -> bool:
        """Return whether it was typed since the last call; do not wait."""
        if not self.is_open or not _has_terminal() or not select.select([0], [], [], 0)[0]:
            return False
        typed = os.read(0, _LONGEST)
        self.is_open = bool(typed)
        return typed.strip().lower() == b"b"


def _has_terminal() -> bool:
    """Return whether this process may read its terminal: the system stops one in the background that does."""
    if sys.platform == "win32":
        return False
    with suppress(OSError):  # It is not that of this session.
        return os.tcgetpgrp(0) == os.getpgrp()
    return False
