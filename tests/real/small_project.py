"""The smallest project that an engine builds with a step that runs, and a forwarder to an engine's socket."""

from __future__ import annotations

import socket
from contextlib import suppress

__all__ = ["SCORE", "copy", "small_project"]

SCORE = "def init(): pass\ndef run(data): return data\n"
_TABLE = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
run = [{{ command = "{command}" }}]
"""


def small_project(
    name: str, base: str = "azureml-stand-in/tiny:1", command: str = "echo built"
) -> dict[str, str]:
    """Return the files of a project: a table with one command, and a script."""
    return {"code/score.py": SCORE, "pyproject.toml": _TABLE.format(name=name, base=base, command=command)}


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until *source* ends, then end *target*."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
