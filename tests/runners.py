"""The page on other runners: its commands, run in a tiny project with an engine that has nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.consumers import environment, project
from tests.documentation import DOCS, commands
from tests.fake_engine import ready_engine
from tests.machine import invoke_cli

__all__ = ["CHECKED", "FILES", "PAGE", "lines_of", "ran"]

PAGE = DOCS / "runners.md"
FILES = {
    "pyproject.toml": project("demo"),
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
}
CHECKED = "next       nothing is built yet: azureml-image build\n"
"""The last line of a check with an engine."""


def lines_of(runner: str) -> list[str]:
    """Return the commands of the page that begin with *runner*."""
    return [each.line for each in commands(PAGE) if each.line.split()[0] == runner]


def ran(line: str, folder: Path, **env: str) -> str:
    """Run a command of the page in *folder*, as in an environment with azureml-tasks; return what it printed."""
    programs = folder.parent / "programs"
    programs.mkdir(exist_ok=True)
    program = shlex.join(invoke_cli.program_words([]))
    for name, words in {
        "azureml-image": program,
        "python": shlex.quote(sys.executable),
        "invoke": f"{shlex.quote(sys.executable)} -m invoke",
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    with ready_engine() as engine:
        ended = subprocess.run(
            shlex.split(line),
            cwd=folder,
            env=environment(**{"PATH": path, "DOCKER_HOST": engine.host, "HOME": str(folder.parent), **env}),
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
