"""Where everything is measured: an engine, clients, a base of this run's own, and a folder for projects."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.machine import bases, clients, engine_26, invoke_cli
from tests.machine.benchmark import project
from tests.machine.benchmark.project import Project
from tests.machine.benchmark.timing import Command, cleared
from tests.machine.benchmark.traces import Traces
from tests.machine.engine import engine

__all__ = ["BUILDKIT", "LEGACY", "Place", "own_base", "place"]

BUILDKIT, LEGACY = "BuildKit", "legacy builder"
_CLIENTS = {BUILDKIT: "26.1-buildx", LEGACY: "26.1"}
"""The same client with the buildx plug-in and without it: the one has BuildKit, the other has not."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What every case stands on.

    Args:
        run: a word of this run's own, part of every image's name.
        host: the engine's DOCKER_HOST.
        client: the SDK's client of it.
        base: the stand-in base, with a layer of this run's own, so that nothing is cached that this run did not make.
        folder: scratch.
        trivial: a folder with a trivial Invoke task.
        model: file of the model that all projects share.
        environments: builder -> the environment in which docker and our tasks use it.
        words: builder -> the client and the builder, for people.
        traces: what this run has left on the engine.
    """

    run: str
    host: str
    client: docker.DockerClient
    base: str
    folder: Path
    trivial: Path
    model: Path
    environments: Mapping[str, Mapping[str, str]]
    words: Mapping[str, str]
    traces: Traces

    def image(self, suffix: str) -> str:
        """The name of an image of this run."""
        return f"azureml-bench-{self.run}-{suffix}"

    def project(
        self, suffix: str, *, model: Path | None = None, files: int = project.Size.files, more: str = ""
    ) -> Project:
        """A new project, whose image is `image(suffix)`; see `project.lay_out`."""
        folder, model = self.folder / self.image(suffix), model or self.model
        return project.lay_out(folder, base=self.base, model=model, files=files, more=more)

    def code_alone(self, suffix: str, files: int) -> Project:
        """A new project of so many files of code, without packages and without a model."""
        return project.lay_out(self.folder / self.image(suffix), base=self.base, model=None, files=files)

    def build(self, suffix: str, dockerfile: str, files: Mapping[str, str] | None = None) -> str:
        """Build an image of this run with what all of it stands on; returns its name."""
        name = f"{self.image(suffix)}:1"
        _build(self.client, name, dockerfile, files or {})
        return name

    def invoke(self, builder: str, folder: Path, *words: str) -> Command:
        """`invoke` as a consumer runs it, in the environment in which this runs itself."""
        argv = (sys.executable, "-m", "invoke", *words)
        return Command(words=argv, folder=folder, env=self.environments[builder])

    def docker(self, builder: str, folder: Path, *words: str) -> Command:
        """Docker's own client."""
        told = {"DOCKER_BUILDKIT": "1" if builder == BUILDKIT else "0"}
        return Command(words=("docker", *words), folder=folder, env={**self.environments[builder], **told})

    def hello(self) -> Command:
        """The trivial Invoke task."""
        return self.invoke(BUILDKIT, self.trivial, "hello")


@contextmanager
def place(model: int = project.Size.model, *, newer: bool = False) -> Iterator[Place]:
    """Make everything ready; nothing of it is left afterwards, on the engine or on disk.

    Args:
        model: bytes of the model.
        newer: whether the engine is 26.1 with images in containerd, beside the one that answers.

    Raises:
        NotPossibleError: a part cannot be had here; the words say which.
    """
    invoke_cli.compiled()
    with ExitStack() as stack:
        host = stack.enter_context(engine())
        client = stack.enter_context(closing(docker.from_env(timeout=600)))
        if newer:
            host = stack.enter_context(engine_26.running())
            older, client = client, stack.enter_context(closing(docker.DockerClient(host, timeout=600)))
            bases.copy("amlenv", older, client)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="azureml-tasks-")))
        run = uuid.uuid4().hex[:8]
        traces = Traces(client)
        stack.callback(traces.remove)
        base = own_base(client, run)
        traces.base = base
        environments = {
            builder: _environment(name, folder / f"docker-{name}", host) for builder, name in _CLIENTS.items()
        }
        yield Place(
            run=run,
            host=host,
            client=client,
            base=base,
            folder=folder,
            trivial=project.trivial(folder / "trivial"),
            model=project.weights(folder / "weights.bin", model),
            environments=environments,
            words={builder: _words(builder, env) for builder, env in environments.items()},
            traces=traces,
        )


def own_base(client: docker.DockerClient, run: str) -> str:
    """The stand-in base with one small layer that no other run has."""
    default_script, name = bases.ensure(client, "amlenv"), f"azureml-bench-{run}-base:1"
    _build(client, name, f"FROM {default_script}\nCOPY run /etc/azureml-bench\n", {"run": run})
    return name


def _build(client: docker.DockerClient, name: str, dockerfile: str, files: Mapping[str, str]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in {"Dockerfile": dockerfile, **files}.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text.encode()), 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    packed.seek(0)
    client.images.build(fileobj=packed, custom_context=True, tag=name, rm=True, forcerm=True)


def _environment(client: str, config: Path, host: str) -> dict[str, str]:
    variables = clients.environment(clients.clients()[client], config)
    return {**cleared(variables), "DOCKER_HOST": host}


def _words(builder: str, env: Mapping[str, str]) -> str:
    """Such as "BuildKit, docker client 26.1.5 with buildx 0.13.1"."""
    version = _output(("docker", "version", "--format", "{{.Client.Version}}"), env)
    buildx = _output(("docker", "buildx", "version"), env).split()
    plugin = f"with buildx {buildx[1]}" if builder == BUILDKIT and len(buildx) > 1 else "without buildx"
    return f"{builder}, docker client {version} {plugin}"


def _output(words: Sequence[str], env: Mapping[str, str]) -> str:
    ended = subprocess.run(words, env=dict(env), capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == os.EX_OK else ""
