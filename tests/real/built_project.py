"""A project that is built once, for tests of its image, and one on a tiny base, for tests of later builds."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from tests.real.support import Consumer, Ended, consumer, normal, project_removed_after, removed_after, unique

__all__ = ["FILES", "NOTHING", "Built", "built", "built_once", "derived"]

TABLE = """\
[project]
name = "NAME"
version = "1"

[tool.azureml-image]
base = "BASE"
model = "model"
MORE
[tool.azureml-image.env]
GREETING = "hello"
"""
FILES: dict[str, str | bytes] = {
    "code/score.py": "def init(): pass\ndef run(data): return data\n",
    "code/helper.py": "x = 1\n",
    "model/weights.bin": "weights\n",
}
NOTHING = (
    "nothing to build: files, Dockerfile, base, platform and version of azureml-tasks are those of sha256:ID"
)


@dataclass(frozen=True, kw_only=True)
class Built:
    """A project that is built.

    Args:
        name: of the project and its image.
        project: the project.
        first: exit code and output of its first build.
        base: an image that only this project extends.
    """

    name: str
    project: Consumer
    first: Ended
    base: str

    @property
    def id(self) -> str:
        """The recorded ID of the image that was built last."""
        return str(self.project.record("build.json")["id"])

    def write(self, name: str, text: str) -> None:
        """Write *text* to a file of the project."""
        (self.project.folder / name).write_text(text, encoding="utf-8")

    def replaced(self, old: str, new: str) -> None:
        """Replace *old* in pyproject.toml."""
        text = (self.project.folder / "pyproject.toml").read_text(encoding="utf-8")
        assert old in text
        self.write("pyproject.toml", text.replace(old, new))

    def run(self, *words: str) -> list[str]:
        """Run a command and return its output without the lines about engine and context."""
        ended = self.project.invoke(*words)
        assert ended.code == 0, ended.stderr
        lines = normal(ended.stderr + ended.stdout, {self.name: "NAME", self.base: "BASE"}).splitlines()
        return [line for line in lines if not line.startswith(("Docker engine ", "build context: "))]


@contextmanager
def built(client: docker.DockerClient, project: Consumer) -> Iterator[None]:
    """Build a project of version 1 that has the name of its folder; remove its images after the block."""
    name = project.folder.name
    with project_removed_after(client, name):
        ended = project.invoke("image.build")
        assert (0, f"{name}:1\n") == (ended.code, ended.stdout), ended.stderr
        yield


def derived(client: docker.DockerClient, name: str, lines: str) -> None:
    """Build an image from a Dockerfile of *lines*, without the cache, of which other builds remove images meanwhile."""
    client.images.build(fileobj=io.BytesIO(lines.encode()), tag=name, rm=True, forcerm=True, nocache=True)


@contextmanager
def built_once(
    client: docker.DockerClient,
    tiny_base: str,
    env: Mapping[str, str],
    folder: Path,
    *,
    more: str = "",
    files: Mapping[str, str | bytes] | None = None,
) -> Iterator[Built]:
    """Yield a project that was built once, on its own base; remove all its images after the block.

    Args:
        client: of the engine.
        tiny_base: what its base extends.
        env: of its commands.
        folder: parent of the project's folder.
        more: lines of its table.
        files: besides those that every such project has.
    """
    name, base = unique("fast"), f"{unique('base')}:1"
    table = TABLE.replace("NAME", name).replace("BASE", base).replace("MORE", more)
    project = consumer(folder / name, {**FILES, **(files or {}), "pyproject.toml": table}, env)
    with removed_after(client, base), _images_removed_after(client, name):
        derived(client, base, f"FROM {tiny_base}\nLABEL which=first of={name}\n")
        first = project.invoke("image.build")
        assert first.code == 0, first.stderr
        yield Built(name=name, project=project, first=first, base=base)


@contextmanager
def _images_removed_after(client: docker.DockerClient, name: str) -> Iterator[None]:
    """Remove every image of a project after the block, also those without a name; children before their parents."""
    try:
        yield
    finally:
        images = [str(image.id) for image in client.images.list(filters={"label": f"of={name}"})]
        while left := [image for image in images if not _removed(client, image)]:
            if left == images:
                break
            images = left


def _removed(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.remove(image, force=True)
    except ImageNotFound:
        return True  # It went with another one.
    except APIError:
        return False
    return True
