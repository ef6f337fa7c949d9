"""Small projects, the smallest of which an engine builds with a step that runs, and a forwarder to its socket."""

from __future__ import annotations

import socket
from contextlib import suppress

__all__ = ["SCORE", "copy", "small_project", "small_table"]

SCORE = "def init(): pass\ndef run(data): return data\n"


def small_table(name: str, base: str, more: str = "", *, version: str = "1") -> str:
    """Return a pyproject.toml whose image is built on *base*, with *more* lines in its table."""
    return f"""\
[project]
name = "{name}"
version = "{version}"

[tool.azureml-image]
base = "{base}"
{more}"""


def small_project(
    name: str, base: str = "azureml-stand-in/tiny:1", command: str = "echo built"
) -> dict[str, str]:
    """Return the files of a project: a table with one command, and a script."""
    run = f'run = [{{ command = "{command}" }}]\n'
    return {"code/score.py": SCORE, "pyproject.toml": small_table(name, base, run, version="1.0")}


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until *source* ends, then end *target*."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
