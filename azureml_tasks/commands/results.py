"""What commands return. `--json` prints the same shapes, so a name here is a key there: see the page on JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from azureml_tasks.errors import SmokeTestError
from azureml_tasks.smoke.report import Report  # noqa: TC001 -- `typed_json` reads the types of fields
from azureml_tasks.typed_json import HIDDEN


@dataclass(frozen=True, kw_only=True)
class ContextSize:
    """The build context of an image.

    Args:
        files: how many it has.
        bytes: of all of them.
        sha256: of its names, modes and contents, in hexadecimal.
    """

    files: int
    bytes: int
    sha256: str


BuildStatus: TypeAlias = Literal["built", "up-to-date", "started", "mounted", "planned"]


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What `build` returns for each image.

    Args:
        status: "started" if a remote build goes on; "mounted" if Azure ML mounts the code, so that there is nothing to
            build; "planned" under --dry.
        id: the engine's ID, `sha256:…`; for an image in a registry its digest; "" under --dry.
        names: image references, `registry/repository:tag` or `repository:tag`.
        engine: "docker" or "acr".
        context: what it was built from; None if that is not known.
        rebuilt: its stages that were built again; empty if it is compared with no earlier build, as with --no-cache.
        because: why, one line each.
        bytes: of the image with its base, as the engine stores it; None if that is not known.
        candidate: `login-server/repository@sha256:…` if it waits in a registry for its smoke test; else "".
        run: ID of the remote build; "" if it was built locally.
        seconds: that the step took.
        image_name: which of the table's images it is; "" if the table itself is the image.
        can_be_served: whether `image.serve` takes it: it has a server, and a local engine has it.
    """

    status: BuildStatus
    id: str = ""
    names: tuple[str, ...]
    engine: str
    context: ContextSize | None = None
    rebuilt: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    bytes: int | None = None
    candidate: str = ""
    run: str = ""
    seconds: float = 0.0
    image_name: str = field(default="", metadata=HIDDEN)  # `--json` has it once for all steps
    can_be_served: bool = field(default=False, metadata=HIDDEN)


@dataclass(frozen=True, kw_only=True)
class SmokeTestResult:
    """What `smoke_test` returns for each image.

    Args:
        status: "planned" under --dry.
        id: of the image, as in `BuildResult`.
        names: likewise.
        report: what was seen; None under --dry.
        seconds: that the step took.
        delivery: "mount" if the base ran with the code mounted, so that there is nothing to push.
        image_name: as in `BuildResult`.
    """

    status: Literal["passed", "failed", "planned"]
    id: str = ""
    names: tuple[str, ...]
    report: Report | None
    seconds: float = 0.0
    delivery: Literal["image", "mount"] = "image"
    image_name: str = field(default="", metadata=HIDDEN)  # `--json` has it once for all steps


class FailedSmokeTest(SmokeTestError):
    """An image failed its smoke test.

    Args:
        what: the reports for people.
        results: of all images that were tested, those that passed as well.
        brief: as in `AzuremlTasksError`.
    """

    def __init__(self, what: str, results: tuple[SmokeTestResult, ...], *, brief: str = "") -> None:
        super().__init__(what, brief=brief)
        self.results = results


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What `push` returns for each image.

    Args:
        status: "planned" under --dry.
        image: `login-server/repository@sha256:…`; "" under --dry.
        digest: `sha256:…`, as the registry gives it; "" under --dry.
        tags: that it was pushed with.
        repository: `login-server/repository`.
        id: as in `BuildResult`.
        seconds: that the step took.
        image_name: as in `BuildResult`.
    """

    status: Literal["pushed", "planned"]
    image: str = ""
    digest: str = ""
    tags: tuple[str, ...]
    repository: str
    id: str = ""
    seconds: float = 0.0
    image_name: str = field(default="", metadata=HIDDEN)  # `--json` has it once for all steps


StepResult: TypeAlias = "BuildResult | SmokeTestResult | PushResult"


@dataclass(frozen=True, kw_only=True)
class ReleaseResult:
    """What `release` returns for each image: the result of each step; no push if its code is mounted."""

    build: BuildResult
    smoke_test: SmokeTestResult
    push: PushResult | None


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """Cached layers that an engine or a registry stores.

    Args:
        name: `repository:tag`, with the login server if a registry has them.
        id: the engine's ID; for layers in a registry their digest.
        bytes: 0 if not known.
        days: since they were built.
        is_current: whether a build of the project as it is now would use them.
        is_grown: whether packages were added to them later.
    """

    name: str
    id: str
    bytes: int
    days: float
    is_current: bool
    is_grown: bool
