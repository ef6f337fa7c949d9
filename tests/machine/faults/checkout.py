"""A project in a folder of its own, and its commands."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.machine import invoke_cli
from tests.machine.faults.place import Place

__all__ = ["MARK", "Checkout", "Ended", "new_checkout", "send"]

_TABLE = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
model = "model"
registry = "{registry}"
tags = ["{{version}}", "latest"]
run = [{{ after = "pip", command = "for i in 1 2 3; do echo step $i; sleep 0.1; done" }}]

[tool.azureml-image.smoke-test]
requests = [{{ body = {{ value = 1 }} }}]
"""
_TASKS = """\
from invoke.collection import Collection
from azureml_tasks import image

ns = Collection(image)
"""
_SCORE = "def init(): pass\ndef run(data): return {'sum': 3}\n"
_MODEL_BYTES = 5_000_000
"""So many that docker's client gets the files as a staged folder."""
MARK = "AZUREML_TASKS_FAULT"
"""Variable of every process that a command starts: the name of the project."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended.

    Args:
        words: the command, without `invoke`.
        code: its exit code; negative for a signal that ended it.
        out: its stdout.
        err: its stderr.
    """

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"$ invoke {' '.join(self.words)}\n{self.out}{self.err}exit code {self.code}"


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A checkout of a project.

    Args:
        name: of the project.
        folder: of the checkout.
        env: of its commands.
        state: the user's state folder.
        temporary: TMPDIR.
        history: every command that was run, for the report.
    """

    name: str
    folder: Path
    env: Mapping[str, str]
    state: Path
    temporary: Path
    history: list[Ended] = field(default_factory=list)

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.folder / ".azureml-image"

    def build_record(self) -> dict[str, Any]:
        """Return the record of the image that was built last."""
        record: dict[str, Any] = json.loads((self.records / "build.json").read_bytes())
        return record

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, as a terminal does; its output goes to files."""
        invoke_cli.compiled()
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            return subprocess.Popen(
                invoke_cli.words(words),
                cwd=self.folder,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def ended(self, process: subprocess.Popen[bytes], *words: str) -> Ended:
        """Wait for a command, and return how it ended."""
        code = process.wait(timeout=300)
        texts = [self._file(which).read_text(encoding="utf-8", errors="replace") for which in ("out", "err")]
        ended = Ended(words=words, code=code, out=texts[0], err=texts[1])
        self.history.append(ended)
        return ended

    def run(self, *words: str) -> Ended:
        """Run a command to its end."""
        return self.ended(self.start(*words), *words)

    def line_count(self) -> int:
        """Return how many lines the running command has printed on stderr."""
        return self._file("err").read_bytes().count(b"\n")

    def _file(self, which: str) -> Path:
        return self.folder.parent / f"{self.name}.{which}"


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal as it comes in life: Ctrl-C and a closed terminal reach every process, others the command alone."""
    if number in {signal.SIGINT, signal.SIGHUP}:
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)


def new_checkout(
    place: Place,
    *,
    name: str = "",
    number: int = 0,
    env: Mapping[str, str] | None = None,
    disk: Callable[[Path], object] = lambda _: None,
) -> Checkout:
    """Write a project.

    Args:
        place: with its base and its registry.
        name: of the project; a new one by default.
        number: of the checkout of this name; its code differs from that of the others.
        env: replaces variables of its commands.
        disk: puts the folder of the project on a disk of its own.
    """
    name = name or place.new_name()
    parent = place.scratch / name / str(number)
    folder, state, temporary = parent / name, parent / "state", parent / "tmp"
    files = {
        "pyproject.toml": _TABLE.format(name=name, base=place.base, registry=place.proxy.host),
        "tasks.py": _TASKS,
        "code/score.py": _SCORE,
        "code/number.txt": f"{number}\n",
    }
    disk(folder)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (folder / "model").mkdir()
    weights = random.Random(name).randbytes(_MODEL_BYTES)  # noqa: S311 -- bytes that do not compress
    (folder / "model" / "weights.bin").write_bytes(weights)
    for each in (state, temporary):
        each.mkdir()
    variables = {
        **place.environment(parent),
        "DOCKER_HOST": place.engine.host,
        "XDG_STATE_HOME": str(state),
        "TMPDIR": str(temporary),
        MARK: name,
    }
    return Checkout(
        name=name, folder=folder, env={**variables, **(env or {})}, state=state, temporary=temporary
    )
