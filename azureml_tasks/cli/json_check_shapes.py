"""What `image.check --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from azureml_tasks.cli.json_common_shapes import Output
from azureml_tasks.commands.check import ImageStatus  # noqa: TC001 -- `typed_json` reads the types of fields
from azureml_tasks.commands.results import ContextSize


@dataclass(frozen=True, kw_only=True)
class NamedSize:
    """A file of the build context.

    Args:
        name: in the context.
        bytes: its size.
    """

    name: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class CheckedContext(ContextSize):
    """The build context of an image.

    Args:
        largest: its largest files that are copied from the project, the largest first.
    """

    largest: tuple[NamedSize, ...]


@dataclass(frozen=True, kw_only=True)
class CheckedSecret:
    """A build secret.

    Args:
        id: its key in the table.
        source: where it comes from.
        problem: what is wrong with it; null if nothing is.
    """

    id: str
    source: str
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckedDockerfile:
    """A Dockerfile of the project's own.

    Args:
        path: relative to the project.
        images: that its stages start from.
        buildkit: what it needs of BuildKit.
        syntax: the frontend that BuildKit would pull for it.
    """

    path: str
    images: tuple[DockerfileImage, ...]
    buildkit: tuple[str, ...]
    syntax: str = ""


@dataclass(frozen=True, kw_only=True)
class DockerfileImage:
    """An image that a stage of a Dockerfile starts from.

    Args:
        line: of the Dockerfile, 1-based.
        text: the instruction.
    """

    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class CheckedSmokeTest:
    """What the smoke test would do.

    Args:
        proves: what a pass shows: answers to requests, a mini-batch, or start-up alone.
        requests: how many it sends.
        repeat: how often it sends each.
        mini_batch: files that `run()` of a batch deployment gets.
        swagger: whether it requests `/swagger.json`.
    """

    proves: Literal["requests", "mini-batch", "start-up"]
    requests: int
    repeat: int
    mini_batch: int
    swagger: bool


@dataclass(frozen=True, kw_only=True)
class CheckedEngine:
    """The engine.

    Args:
        name: "docker" or "acr"; null if none could be opened.
        text: which one it is, or why there is none.
    """

    name: str = ""
    text: str


@dataclass(frozen=True, kw_only=True)
class CheckedImage:
    """One image, as `image.check` sees it.

    Args:
        name: in the table; null if the table itself is the image.
        status: "tested" if it is up to date and passed its smoke test; "pushed" if it is also in the registry;
            "mounted" if Azure ML mounts the code, so that nothing is built; "blocked" if an error keeps a build from
            starting.
        base: image reference; null for a Dockerfile that starts from nothing.
        dockerfile: the project's own; null if it is generated.
        platform: of the image.
        names: image references that a build would give it.
        steps: of the build, for people.
        lighter: a lighter way to deploy the same, for people.
        secrets: of the build.
        context: its build context.
        smoke_test: what the smoke test would do.
        engine: that would build it.
        rebuilt: stages that a build would build again.
        because: why, one line each.
        next: the command that comes next; null if there is an error, which has its own.
    """

    name: str = ""
    status: ImageStatus
    base: str = ""
    dockerfile: CheckedDockerfile | None
    platform: str
    names: tuple[str, ...]
    steps: tuple[str, ...]
    lighter: str = ""
    secrets: tuple[CheckedSecret, ...]
    context: CheckedContext
    smoke_test: CheckedSmokeTest
    engine: CheckedEngine
    rebuilt: tuple[str, ...]
    because: tuple[str, ...]
    next: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckOutput(Output):
    """What `image.check` prints.

    Args:
        images: in the order of the table; empty if the table cannot be read.
    """

    images: tuple[CheckedImage, ...] = ()
