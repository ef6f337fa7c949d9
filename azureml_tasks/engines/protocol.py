"""What every engine is to the rest of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.built_image import BuiltImage, StoredLayers
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.smoke.report import Report

__all__ = ["Engine", "LayerStore"]


class LayerStore(Protocol):
    """The prefixes that an engine keeps for a project."""

    def all(self) -> list[StoredLayers]:
        """Each, for the project as it is and as it was, the newest first."""

    def remove(self, kept: StoredLayers) -> bool:
        """Remove one; whether that was done."""


class Engine(Protocol):
    """What can make an image, smoke-test it and send it away; `Plan.required_features` must be among its features."""

    @property
    def name(self) -> str:
        """As in `--engine`."""

    @property
    def features(self) -> frozenset[str]:
        """What it can do beyond every engine's own."""

    @property
    def registry(self) -> str:
        """Login server of the registry that it belongs to; "" for one that pushes anywhere, or is not asked yet."""

    def describe(self) -> str:
        """One line: which engine, where, which builder and why that one."""

    def planned_image(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """The image as far as it is known before it is built: it has no id yet."""

    def base_id(self, plan: Plan) -> str:
        """What never moves of the base as it is here now; "" where it is not here, or nobody can tell."""

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """Give *image*, which is there, these names."""

    def build(
        self,
        plan: Plan,
        context: BuildContext,
        *,
        no_cache: bool,
        pull: bool,
        smoke_test: bool,
        previous: BuiltImage | None,
    ) -> BuiltImage:
        """Build *context* into an image with the plan's names, after looking at the base.

        Args:
            plan: the image.
            context: its files.
            no_cache: build every step, and leave cached layers alone.
            pull: pull the base first.
            smoke_test: run the smoke test inside the build if no engine can run it afterwards, and keep only an
                image that passed.
            previous: the image that was built last; what it has in common with this one may be used again.
        """

    def exists(self, image: BuiltImage) -> bool:
        """Whether the image is still where it was built."""

    def smoke_test(self, plan: Plan, image: BuiltImage) -> Report | None:
        """Run *image* and ask it everything that the plan's smoke test asks; None under --dry."""

    def push(self, image: BuiltImage, name: str) -> str:
        """Send *image* to its registry as *name*; the digest that the registry itself gives it."""

    def discard_candidate(self, image: BuiltImage) -> None:
        """Put away what only led to the image's final names, or was kept for a smoke test that failed."""

    def layer_store(self, plan: Plan) -> LayerStore:
        """What is kept of the prefixes of *plan*."""

    def remove(self, image: BuiltImage) -> list[str]:
        """Remove what build has left of the image, by its names; what was removed."""
