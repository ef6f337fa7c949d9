"""A consumer's project in a folder of the test's own, and `invoke` run in it as a person runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from docker.errors import ImageNotFound, NotFound
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import Timeout

from azureml_tasks.state.failed_step import BEFORE_STEP
from azureml_tasks.state.record_forms import FAILED_STEP, FILES, PUSHED
from azureml_tasks.state.records import BUILD_LOG, REPORT
from tests.consumers import OF_CI, OF_OUTPUT
from tests.machine import clients as docker_clients
from tests.machine import invoke_cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import docker

__all__ = [
    "NOTES",
    "TASKS",
    "Consumer",
    "Ended",
    "consumer",
    "copied_example",
    "environment_for",
    "environment_of",
    "environment_without_docker",
    "left_containers",
    "normal",
    "output_of",
    "project_removed_after",
    "removed_after",
    "tags_of",
    "unique",
]

TASKS = """\
from invoke.collection import Collection
from azureml_tasks import image

ns = Collection(image)
"""

NOTES = frozenset({
    BEFORE_STEP, BUILD_LOG, FAILED_STEP, FILES, PUSHED, REPORT, "builder.json", "engine.json", "hashes.json", "staged",
    "users.json",
})  # fmt: skip
"""Entries of `.azureml-image/` that only save time or only inform, and can be removed at any time."""
_EXAMPLE = Path(__file__).parents[2] / "example_project"
_OF_A_MACHINE = ("INVOKE_", "SOURCE_DATE_EPOCH", "DOCKER_BUILDKIT", "BUILDX_", *OF_OUTPUT, *OF_CI)
_UNSTABLE = (
    (r"sha256:[0-9a-f]{64}", "sha256:ID"),
    (r"sha256:[0-9a-f]{12}\b", "sha256:ID"),
    (r"\bsha256 [0-9a-f]{64}", "sha256 HASH"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\b\d+(\.\d+)? (bytes|kB|MB)(?=, sha256 )", "SIZE"),
    (r"\b\d+(\.\d+)? MB\b", "N MB"),
    (r"\b\d+\.\d+ (m?s)\b", r"N \1"),
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A project of a consumer.

    Args:
        folder: of its pyproject.toml and tasks.py.
        env: the environment in which its commands run.
    """

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def invoke(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ended:
        """Run `invoke` with *arguments* in the project to its end; *env* comes on top."""
        ended = invoke_cli.run(arguments, folder=self.folder, env={**self.env, **(env or {})})
        return Ended(code=ended.code, stdout=ended.out.decode(), stderr=ended.err.decode())

    def paste(self, commands: str) -> Ended:
        """Run what `--dry` has printed in a shell, as in an activated environment, up to the first failure."""
        with TemporaryDirectory() as folder:
            (Path(folder) / "invoke").write_text(
                f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m invoke "$@"\n', encoding="utf-8"
            )
            (Path(folder) / "invoke").chmod(0o755)
            completed = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", commands],
                cwd=self.folder,
                env={**self.env, "PATH": f"{folder}{os.pathsep}{self.env['PATH']}"},
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
        return Ended(code=completed.returncode, stdout=completed.stdout, stderr=completed.stderr)

    def interrupted(self, *arguments: str, at: str, by: signal.Signals) -> Ended:
        """Run `invoke`, send it the signal *by* once a line on stderr ends in *at*, and wait for its end.

        As at a terminal, Ctrl-C reaches every process that it has started, and SIGTERM it alone.
        """
        invoke_cli.compiled()
        with started_command(self, *arguments) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            stderr = _until(process.stderr, lambda line: line.rstrip().endswith(at))
            _send(process.pid, by)
            stderr += process.stderr.read()
            out = process.stdout.read()
        return Ended(code=process.returncode, stdout=out, stderr=stderr)

    def record(self, name: str) -> Any:
        """A file of `.azureml-image/`."""
        return json.loads((self.folder / ".azureml-image" / name).read_text(encoding="utf-8"))

    def records(self) -> list[str]:
        """What lies in `.azureml-image/`, notes aside; nothing if there are only notes, or no such folder."""
        names = sorted(
            path.name for path in (self.folder / ".azureml-image").glob("*") if path.name not in NOTES
        )
        return names if names != [".gitignore"] else []


@contextmanager
def started_command(project: Consumer, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start `invoke` with *words*; it is killed at the end of the block."""
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


def consumer(
    folder: Path, files: Mapping[str, str | bytes], env: Mapping[str, str] | None = None
) -> Consumer:
    """Write a project below *folder*.

    Args:
        folder: made if it is not there.
        files: path -> what is in it; `tasks.py` is added where it is missing.
        env: the environment of its commands: `environment_of(…)`, or this process's own.
    """
    for name, content in {"tasks.py": TASKS, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Consumer(folder=folder, env=_alone(os.environ if env is None else env))


def copied_example(folder: Path, env: Mapping[str, str] | None = None, *, part: str = "") -> Consumer:
    """Copy `example_project`, or its folder *part*, to *folder*, without what builds have left there."""
    left_out = shutil.ignore_patterns(".azureml-image", "__pycache__")
    shutil.copytree(_EXAMPLE / part, folder, ignore=left_out)
    return consumer(folder, {}, env)


def environment_of(client: docker_clients.Client, scratch: Path) -> dict[str, str]:
    """The environment in which `docker` is *client*, with its configuration below *scratch*."""
    return _alone(docker_clients.environment(client, scratch / "docker-config"))


def environment_for(
    client: str, clients: Mapping[str, docker_clients.Client], scratch: Path
) -> dict[str, str]:
    """That of the client which *clients* has by this name, or else one without docker."""
    return (
        environment_of(clients[client], scratch) if client in clients else environment_without_docker(scratch)
    )


def environment_without_docker(scratch: Path) -> dict[str, str]:
    """An environment whose PATH has git, where this machine has it, and no docker."""
    folder = scratch / "path-without-docker"
    folder.mkdir(parents=True, exist_ok=True)
    for path in os.environ.get("PATH", os.defpath).split(os.pathsep):
        with suppress(FileExistsError):
            if Path(path, "git").is_file():
                (folder / "git").symlink_to(Path(path, "git"))
    return _alone({**os.environ, "PATH": str(folder)})


def normal(text: str, names: Mapping[str, str] | None = None) -> str:
    """*text* without what differs from run to run: ids, ports, sizes, times, and *names* -> words."""
    for name, word in (names or {}).items():
        text = text.replace(name, word)
    for pattern, word in _UNSTABLE:
        text = re.sub(pattern, word, text)
    return text


def output_of(client: docker.DockerClient, image: str, command: Sequence[str], **options: Any) -> bytes:
    """Run a container to its end and return what it has printed on stdout.

    `containers.run` of Docker's SDK follows the log, and Docker 20.10 may close it before its last lines are sent.
    """
    container = client.containers.create(image, list(command), **options)
    try:
        container.start()
        code = container.wait()["StatusCode"]
        out: bytes = container.logs(stdout=True, stderr=False)
        assert code == 0, out + container.logs(stdout=False, stderr=True)
    finally:
        container.remove(force=True, v=True)
    return out


def unique(word: str) -> str:
    """A name for an image that no other test uses."""
    return f"{word}-{uuid.uuid4().hex[:12]}"


@contextmanager
def removed_after(client: docker.DockerClient, *names: str) -> Iterator[None]:
    """Remove the images of these names when the block ends, however it ends."""
    try:
        yield
    finally:
        for name in names:
            with suppress(ImageNotFound):
                client.images.remove(name, force=True)


@contextmanager
def project_removed_after(client: docker.DockerClient, name: str) -> Iterator[None]:
    """Remove what is called *name*, a project's own, when the block ends: its image, and its cached layers."""
    try:
        yield
    finally:
        for tag in tags_of(client, name):
            with suppress(ImageNotFound):
                client.images.remove(tag, force=True)


def _alone(env: Mapping[str, str]) -> dict[str, str]:
    """*env* without what this machine or its CI would have a say in."""
    return {name: text for name, text in env.items() if not name.startswith(_OF_A_MACHINE)}


def _until(lines: Iterator[str], is_last: Callable[[str], bool]) -> str:
    """Return the text of *lines* up to the first for which *is_last* is true."""
    text = ""
    for line in lines:
        text += line
        if is_last(line):
            return text
    raise AssertionError(f"it ended before the line was seen:\n{text}")


def _send(pid: int, number: signal.Signals) -> None:
    if number == signal.SIGINT:
        os.killpg(pid, number)
    else:
        os.kill(pid, number)


def left_containers(client: docker.DockerClient, base: str) -> list[str]:
    """Return the containers of images that extend *base*, and that are not removed within a minute.

    An engine removes the container of a build a moment after the build was cancelled.
    """
    left = []
    for container in client.api.containers(all=True, filters={"ancestor": base}):
        try:
            client.api.wait(container["Id"], timeout=60, condition="removed")
        except NotFound:
            continue
        except (RequestsConnectionError, Timeout):
            left.append(container["Names"][0].removeprefix("/"))
    return left


def tags_of(client: docker.DockerClient, part: str) -> list[str]:
    """Every name on the engine that has *part* in it, by one answer: what others remove meanwhile is no error."""
    return sorted(tag for image in client.api.images() for tag in image["RepoTags"] or () if part in tag)
