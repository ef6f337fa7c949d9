"""Projects whose builds are handed off to the loopback of Azure Container Registry, and what became of a command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.plain_text import clean
from azureml_tasks.state.records import NOTES
from tests.machine import invoke_cli
from tests.machine.acr.loopback import Acr
from tests.machine.acr.messages import Recorded
from tests.machine.acr.runs import Run
from tests.real.support import Consumer, Ended, consumer, normal, unique

__all__ = [
    "EXAMPLE",
    "NOWHERE",
    "SCORE",
    "HandedOff",
    "Step",
    "begun",
    "copied",
    "ended",
    "handed_off",
    "handed_off_session",
    "said",
    "step",
]

EXAMPLE = Path(__file__).parents[2] / "example_project"
NOWHERE = "unix:///nowhere/docker.sock"
"""A DOCKER_HOST at which no engine answers, so that the cloud smoke-tests."""
SCORE = "import json\n\n\ndef init():\n    pass\n\n\ndef run(data):\n    return json.loads(data)\n"
_PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
registry = "{registry}"
{more}
"""
_UNSTABLE = (
    (r"\bca\d+\b", "RUN"),
    (r"\b\d+ s (queued|running)", r"N s \1"),
    (r"\b(N|\d+) ms\b", "N s"),
    (r"\b\d+ MiB\b", "N MiB"),
    (r"=[0-9a-f]{64}\b", "=HASH"),
    (r"/layers:[0-9a-f]{32}\b", "/layers:HASH"),
    (r"is (queued|started|running);", "is STATUS;"),
    (r"azureml-image-[0-9a-f]{12}", "CONTAINER"),
)


@dataclass(frozen=True, kw_only=True)
class HandedOff:
    """Writes consumers' projects below *folder*.

    Args:
        acr: where they are handed off to.
        engine: the DOCKER_HOST of the engine for the smoke test.
        folder: scratch.
    """

    acr: Acr
    engine: str
    folder: Path

    def __call__(
        self, base: str, more: str = "", *, local: bool = True, files: Mapping[str, str | bytes] | None = None
    ) -> Consumer:
        """A project of a name of its own, which is its folder's too.

        Args:
            base: image that it extends.
            more: the rest of its table.
            local: whether the engine of this machine answers, and smoke-tests; else the cloud does.
            files: what it consists of besides; an entry script that gives back what it got by default.
        """
        name = unique("hand-off")
        text = _PROJECT.format(name=name, base=base, registry=self.acr.login_server, more=more)
        written = {"pyproject.toml": text, **({"code/score.py": SCORE} if files is None else files)}
        return self.here(consumer(self.folder / name, written), local=local)

    def example(self, base: str, *, local: bool = True) -> Consumer:
        """The example project under a name of its own, with this base and registry."""
        name = unique("iris")
        folder = self.folder / name
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".azureml-image", "__pycache__"))
        table = folder / "pyproject.toml"
        text = table.read_text(encoding="utf-8")
        for key, value in (("name", name), ("base", base), ("registry", self.acr.login_server)):
            text = re.sub(rf'(?m)^{key} = "[^"]*"', f'{key} = "{value}"', text)
        table.write_text(text, encoding="utf-8")
        return self.here(consumer(folder, {}), local=local)

    def here(self, made: Consumer, *, local: bool = True) -> Consumer:
        """A project in the environment of a person who is signed in to the loopback."""
        host = self.engine if local else NOWHERE
        own = {"DOCKER_HOST": host, "DOCKER_CONFIG": str(self.folder / "docker-config")}
        return replace(
            made, env={**consumer(made.folder, {}, os.environ).env, **self.acr.environment(), **own}
        )


@pytest.fixture(scope="module")
def handed_off_session(acr_session: Acr, engine: str, tmp_path_factory: pytest.TempPathFactory) -> HandedOff:
    """Writes projects that several tests share."""
    return HandedOff(acr=acr_session, engine=engine, folder=tmp_path_factory.mktemp("shared"))


@pytest.fixture
def handed_off(acr: Acr, engine: str, tmp_path: Path) -> HandedOff:
    """Writes projects; the loopback is as it is when nothing was changed."""
    return HandedOff(acr=acr, engine=engine, folder=tmp_path)


def copied(project: Consumer, where: Path, *, records: bool = True) -> Consumer:
    """The project on another machine of the team: in *where*, with or without what commands left here."""
    folder = where / project.folder.name
    left_out = () if records else (".azureml-image",)
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns(*left_out))
    return replace(project, folder=folder)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What became of a command.

    Args:
        project: where it was run.
        acr: of which registry.
        ended: how it ended, and what it printed.
        records: what lay in `.azureml-image/` afterwards, without the notes that save time alone.
        tags: tag -> digest of the image in the registry afterwards.
        waiting: the digests of its candidates there.
        run: the one that it started or followed last.
        requests: everything that was asked meanwhile.
    """

    project: Consumer
    acr: Acr
    ended: Ended
    records: Mapping[str, Any]
    tags: Mapping[str, str]
    waiting: frozenset[str]
    run: Run | None = None
    requests: tuple[Recorded, ...] = field(default=(), repr=False)

    @property
    def the_run(self) -> Run:
        """The run, where there was one."""
        assert self.run, self.ended.stderr
        return self.run

    @property
    def out(self) -> tuple[int, str]:
        """Exit code and results."""
        return self.ended.code, said(self.ended.stdout, self.project, self.acr)

    @property
    def told(self) -> list[str]:
        """What we said ourselves: no line of the run's log, none of waiting for the server, none of a layer."""
        log = set(clean(self.run.text).splitlines()) if self.run else set()
        ours = "\n".join(line for line in self.ended.stderr.splitlines() if line not in log)
        lines = said(ours, self.project, self.acr).splitlines()
        return [line for line in lines if not re.match(r"  (N s: |layer )", line)]


def step(acr: Acr, project: Consumer, *words: str, env: Mapping[str, str] | None = None) -> Step:
    """Run `invoke` with *words* to its end."""
    before = len(acr.requests)
    return ended(acr, project, project.invoke(*words, env=env), since=before)


def ended(acr: Acr, project: Consumer, how: Ended, *, since: int = 0) -> Step:
    """What became of a command that ended like this."""
    folder, name = project.folder / ".azureml-image", project.folder.name
    runs = re.findall(r"\brun (ca\d+)\b", how.stderr)
    return Step(
        project=project,
        acr=acr,
        ended=how,
        records={
            path.name: json.loads(path.read_text("utf-8"))
            for path in sorted(folder.glob("*.json"))
            if path.name not in NOTES
        },
        tags=acr.tags(name),
        waiting=frozenset(acr.tags(f"{name}/candidate").values()),
        run=acr.runs.find(runs[-1]) if runs else None,
        requests=tuple(acr.requests[since:]),
    )


def said(text: str, project: Consumer, acr: Acr) -> str:
    """*text* without what differs from run to run."""
    registry = acr.login_server.partition(".")[0]  # here a number, as there are others
    names = {
        project.env["DOCKER_HOST"]: "ENGINE",
        acr.registry.id: "RESOURCE",
        acr.login_server: "REGISTRY",
        **{f"{flag} {registry} ": f"{flag} REGISTRY-NAME " for flag in ("--registry", "--name")},
        project.folder.name: "NAME",
    }
    text = normal(text, names)
    for pattern, word in _UNSTABLE:
        text = re.sub(pattern, word, text)
    return text


@contextmanager
def begun(project: Consumer, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start `invoke` with *words*; it is killed where the block does not wait for its end."""
    with subprocess.Popen(
        invoke_cli.words(words),
        cwd=project.folder,
        env=dict(project.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    ) as running:
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
