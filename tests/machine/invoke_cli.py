"""Run `python -m invoke` or `azureml-image` in a consumer's folder, as a person does.

A command that is run to its end is forked from a process that has imported what it needs: see `command_server`.
"""

from __future__ import annotations

import atexit
import compileall
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from tests.machine import command_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Done", "compiled", "program_words", "run", "run_program", "words"]

_PROGRAM = """\
import sys

del sys.path[0]  # The script that pip makes has the folder of the script there.
sys.argv[0] = "azureml-image"
from azureml_tasks.cli.entry_point import main

sys.exit(main())
"""
_READ_AT_START = ("PYTHON", "LANG", "LC_")
"""How the variables begin that Python reads as it starts: https://docs.python.org/3/using/cmdline.html."""
_PACKAGE = Path(__file__).parents[2] / "azureml_tasks"


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended: its exit code, as `subprocess` has it, and what it printed."""

    code: int
    out: bytes
    err: bytes


def run(
    arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], into: Mapping[int, int] | None = None
) -> Done:
    """Run `invoke` with *arguments* in *folder* to its end, with no input and *env* as its whole environment.

    Args:
        arguments: of `invoke`.
        folder: to run in.
        env: the environment.
        into: the open file that takes the place of stdout (1) or stderr (2), of which nothing is returned then.
    """
    return _run(words(arguments), folder, env, into or {})


def run_program(
    arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], into: Mapping[int, int] | None = None
) -> Done:
    """Run `azureml-image` with *arguments*; see `run`."""
    return _run(program_words(arguments), folder, env, into or {})


def _run(command: Sequence[str], folder: Path, env: Mapping[str, str], into: Mapping[int, int]) -> Done:
    compiled()
    if _hides_a_module(folder):
        ended = subprocess.run(
            command,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=into.get(1, subprocess.PIPE),
            stderr=into.get(2, subprocess.PIPE),
            check=False,
        )
        return Done(code=ended.returncode, out=ended.stdout or b"", err=ended.stderr or b"")
    kind = command_server.REMOTE if "acr" in command else command_server.LOCAL
    at_start = {name: text for name, text in env.items() if name.startswith(_READ_AT_START)}
    request = {"words": command[1:], "folder": str(folder), "env": dict(env)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(_server(kind, tuple(sorted(at_start.items()))))
            socket.send_fds(connection, [b" "], [into.get(1, out.fileno()), into.get(2, err.fileno())])
            connection.sendall(json.dumps(request).encode())
            connection.shutdown(socket.SHUT_WR)
            code = int(connection.recv(16))
        out.seek(0)
        err.seek(0)
        return Done(code=code, out=out.read(), err=err.read())


def _hides_a_module(folder: Path) -> bool:
    """Whether a module beside tasks.py has the name of another one, which the server may have imported."""
    names = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    return any(name in sys.stdlib_module_names or PathFinder.find_spec(name) for name in names - {"tasks"})


@functools.cache
def _server(kind: str, at_start: tuple[tuple[str, str], ...]) -> str:
    """Start the server of commands of this kind with these variables, once; return the path of its socket."""
    path = f"{tempfile.mkdtemp(prefix='azureml-commands-')}/commands"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_READ_AT_START)}
        process = subprocess.Popen(
            [sys.executable, command_server.__file__, str(listener.fileno()), kind],
            env={**kept, **dict(at_start)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
    atexit.register(_end, process, path)
    return path


def _end(process: subprocess.Popen[bytes], path: str) -> None:
    with process:
        shutil.rmtree(Path(path).parent)


def words(arguments: Sequence[str]) -> list[str]:
    """The command that runs `invoke` with *arguments* by this process's Python."""
    return [sys.executable, "-m", "invoke", *arguments]


def program_words(arguments: Sequence[str]) -> list[str]:
    """The command that runs `azureml-image` with *arguments* by this process's Python, as its script does."""
    return [sys.executable, "-c", _PROGRAM, *arguments]


@functools.cache
def compiled() -> None:
    """Compile the package once: Invoke tells Python to write no bytecode, so each run would compile it again."""
    compileall.compile_dir(str(_PACKAGE), quiet=2)
