"""Projects that are built in the loopback of Azure Container Registry, and the results of their commands."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.plain_text import clean
from tests.machine.acr.loopback import Acr
from tests.machine.acr.messages import Recorded
from tests.machine.acr.runs import Run
from tests.real.support import NOTES, Consumer, Ended, consumer, copied_example, normal, unique

__all__ = [
    "NOWHERE",
    "SCORE",
    "CommandResult",
    "RemoteProjects",
    "copied",
    "normalize",
    "remote_projects",
    "result_of",
    "run_command",
    "shared_remote_projects",
]

NOWHERE = "unix:///nowhere/docker.sock"
"""A DOCKER_HOST without an engine, so that the smoke test runs in the cloud."""
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
    (r"azureml-image-[0-9a-f]{16}-\d+", "CONTAINER"),
    (r"azureml-tasks\.run=[0-9a-f]{16}", "azureml-tasks.run=ID"),
)


@dataclass(frozen=True, kw_only=True)
class RemoteProjects:
    """Writes projects below *folder*.

    Args:
        acr: the registry that builds them.
        engine: the DOCKER_HOST of the local engine.
        folder: for the projects.
    """

    acr: Acr
    engine: str
    folder: Path

    def __call__(
        self, base: str, more: str = "", *, local: bool = True, files: Mapping[str, str | bytes] | None = None
    ) -> Consumer:
        """Write a project with a unique name, which is also the name of its folder.

        Args:
            base: image to extend.
            more: the rest of its table.
            local: whether a local engine answers.
            files: path -> content of its files; by default an entry script that returns its input.
        """
        name = unique("remote-build")
        text = _PROJECT.format(name=name, base=base, registry=self.acr.login_server, more=more)
        written = {"pyproject.toml": text, **({"code/score.py": SCORE} if files is None else files)}
        return self.here(consumer(self.folder / name, written), local=local)

    def example(self, base: str, *, local: bool = True) -> Consumer:
        """Copy the example project with a unique name, this base and this registry."""
        name = unique("iris")
        example = copied_example(self.folder / name)
        table = example.folder / "pyproject.toml"
        text = table.read_text(encoding="utf-8")
        for key, value in (("name", name), ("base", base), ("registry", self.acr.login_server)):
            text = re.sub(rf'(?m)^{key} = "[^"]*"', f'{key} = "{value}"', text)
        table.write_text(text, encoding="utf-8")
        return self.here(example, local=local)

    def here(self, project: Consumer, *, local: bool = True) -> Consumer:
        """Return the project with the environment of a user who is signed in to the loopback."""
        host = self.engine if local else NOWHERE
        own = {"DOCKER_HOST": host, "DOCKER_CONFIG": str(self.folder / "docker-config")}
        return replace(
            project, env={**consumer(project.folder, {}, os.environ).env, **self.acr.environment(), **own}
        )


@pytest.fixture(scope="module")
def shared_remote_projects(
    acr_session: Acr, engine: str, tmp_path_factory: pytest.TempPathFactory
) -> RemoteProjects:
    """Return a writer of projects that several tests share."""
    return RemoteProjects(acr=acr_session, engine=engine, folder=tmp_path_factory.mktemp("shared"))


@pytest.fixture
def remote_projects(acr: Acr, engine: str, tmp_path: Path) -> RemoteProjects:
    """Return a writer of projects; the loopback is reset."""
    return RemoteProjects(acr=acr, engine=engine, folder=tmp_path)


def copied(project: Consumer, where: Path, *, records: bool = True) -> Consumer:
    """Copy the project to the folder *where*, with or without its records, as on another machine."""
    folder = where / project.folder.name
    left_out = () if records else (".azureml-image",)
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns(*left_out))
    return replace(project, folder=folder)


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """The result of a command.

    Args:
        project: where it ran.
        acr: the registry.
        ended: its exit code and output.
        records: file name -> content of `.azureml-image/` afterwards, without caches.
        tags: tag -> digest of the image in the registry afterwards.
        candidates: digests of the candidates in the registry afterwards.
        run: the last run that it started or followed.
        requests: the requests to the registry and to Azure meanwhile.
    """

    project: Consumer
    acr: Acr
    ended: Ended
    records: Mapping[str, Any]
    tags: Mapping[str, str]
    candidates: frozenset[str]
    run: Run | None = None
    requests: tuple[Recorded, ...] = field(default=(), repr=False)

    @property
    def the_run(self) -> Run:
        """The run, which there must be."""
        assert self.run, self.ended.stderr
        return self.run

    @property
    def out(self) -> tuple[int, str]:
        """Exit code and normalized stdout."""
        return self.ended.code, normalize(self.ended.stdout, self.project, self.acr)

    @property
    def messages(self) -> list[str]:
        """The normalized lines of stderr without the run's log and without progress."""
        log = set(clean(self.run.text).splitlines()) if self.run else set()
        stderr = "\n".join(line for line in self.ended.stderr.splitlines() if line not in log)
        lines = normalize(stderr, self.project, self.acr).splitlines()
        return [line for line in lines if not re.match(r"  (N s: |layer )", line)]


def run_command(
    acr: Acr, project: Consumer, *words: str, env: Mapping[str, str] | None = None
) -> CommandResult:
    """Run `invoke` with *words* and return its result."""
    before = len(acr.requests)
    return result_of(acr, project, project.invoke(*words, env=env), since=before)


def result_of(acr: Acr, project: Consumer, ended: Ended, *, since: int = 0) -> CommandResult:
    """Return the result of a command that has ended."""
    folder, name = project.folder / ".azureml-image", project.folder.name
    runs = re.findall(r"\brun (ca\d+)\b", ended.stderr)
    return CommandResult(
        project=project,
        acr=acr,
        ended=ended,
        records={
            path.name: json.loads(path.read_text("utf-8"))
            for path in sorted(folder.glob("*.json"))
            if path.name not in NOTES
        },
        tags=acr.tags(name),
        candidates=frozenset(acr.tags(f"{name}/candidate").values()),
        run=acr.runs.find(runs[-1]) if runs else None,
        requests=tuple(acr.requests[since:]),
    )


def normalize(text: str, project: Consumer, acr: Acr) -> str:
    """Return *text* without what differs from run to run."""
    names = {
        project.env["DOCKER_HOST"]: "ENGINE",
        acr.registry.id: "RESOURCE",
        acr.login_server: "REGISTRY",
        project.folder.name: "NAME",
    }
    text = normal(text, names)
    for pattern, word in _UNSTABLE:
        text = re.sub(pattern, word, text)
    return text
