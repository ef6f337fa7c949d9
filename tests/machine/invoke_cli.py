"""Run `python -m invoke` or `azureml-image` in a consumer's folder, as a person does."""

from __future__ import annotations

import compileall
import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Done", "compiled", "program_words", "run", "run_program", "words"]

_PROGRAM = """\
import sys

del sys.path[0]  # The script that pip makes has the folder of the script there.
sys.argv[0] = "azureml-image"
from azureml_tasks.cli.program import main

sys.exit(main())
"""
_PACKAGE = Path(__file__).parents[2] / "azureml_tasks"


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended: its exit code, as `subprocess` has it, and what it printed."""

    code: int
    out: bytes
    err: bytes


def run(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> Done:
    """Run `invoke` with *arguments* in *folder* to its end, with no input and *env* as its whole environment."""
    return _run(words(arguments), folder, env)


def run_program(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> Done:
    """Run `azureml-image` with *arguments*; see `run`."""
    return _run(program_words(arguments), folder, env)


def _run(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Done:
    compiled()
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


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
