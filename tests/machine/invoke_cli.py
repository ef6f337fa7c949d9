"""Run `python -m invoke` in a consumer's folder, as a person does."""

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

__all__ = ["Done", "compiled", "run", "words"]

_PACKAGE = Path(__file__).parents[2] / "azureml_tasks"


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended: its exit code, as `subprocess` has it, and what it printed."""

    code: int
    out: bytes
    err: bytes


def run(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> Done:
    """Run `invoke` with *arguments* in *folder* to its end, with no input and *env* as its whole environment."""
    compiled()
    done = subprocess.run(
        words(arguments),
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


@functools.cache
def compiled() -> None:
    """Compile the package once: Invoke tells Python to write no bytecode, so each run would compile it again."""
    compileall.compile_dir(str(_PACKAGE), quiet=2)
