"""What commands return."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage, StoredLayers
    from azureml_tasks.smoke.report import Report


class BuildResult(NamedTuple):
    """What `build` returns.

    Args:
        image: the image; under --dry without an ID.
        is_up_to_date: whether there was nothing to build.
        image_name: which of the table's images it is; "" if the table itself is the image.
    """

    image: BuiltImage
    is_up_to_date: bool = False
    image_name: str = ""


class SmokeTestResult(NamedTuple):
    """What `smoke_test` returns.

    Args:
        image: that was tested.
        report: what was seen; None under --dry.
        image_name: as in `BuildResult`.
    """

    image: BuiltImage
    report: Report | None
    image_name: str = ""


class PushResult(NamedTuple):
    """What `push` returns.

    Args:
        image: that was pushed.
        repository: `login-server/repository`.
        tags: that it was pushed with.
        digest: `sha256:…`, as the registry gives it; "" under --dry.
        image_name: as in `BuildResult`.
    """

    image: BuiltImage
    repository: str
    tags: tuple[str, ...]
    digest: str
    image_name: str = ""

    @property
    def reference(self) -> str:
        """`login-server/repository@sha256:…`."""
        return f"{self.repository}@{self.digest}"


StepResult: TypeAlias = "BuildResult | SmokeTestResult | PushResult"


class ReleaseResult(NamedTuple):
    """What `release` returns for each image: the result of each step; no push if its code is mounted."""

    build: BuildResult
    smoke_test: SmokeTestResult
    push: PushResult | None


class CacheEntry(NamedTuple):
    """Cached layers that an engine or a registry stores.

    Args:
        layers: what is stored.
        days: since they were built.
        is_current: whether a build of the project as it is now would use them.
    """

    layers: StoredLayers
    days: float
    is_current: bool
