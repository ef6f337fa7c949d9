"""What an engine provides, for the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from azureml_tasks.built_image import BuiltImage, PushedTag, StoredLayers
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.smoke.container_protocol import AnsweringServer
    from azureml_tasks.smoke.report import Report
    from azureml_tasks.state.failed_step import FailedStep


class LayerStore(Protocol):
    """The cached layers of one project."""

    def all(self) -> list[StoredLayers]:
        """Return all cached layers of the project, also those of its earlier states, the newest first."""

    def remove(self, layers: StoredLayers) -> bool:
        """Remove cached layers. Return False if that was not done."""


class Engine(Protocol):
    """Builds images, runs their smoke tests and pushes them; its features include `Plan.required_features`."""

    @property
    def name(self) -> str:
        """The name, as in `--engine`."""

    @property
    def features(self) -> frozenset[str]:
        """What it supports beyond every engine."""

    @property
    def registry(self) -> str:
        """Login server of the registry that it belongs to; "" if it pushes to any, or does not know it yet."""

    def describe(self) -> str:
        """Return one line: which engine, its address, its builder and why that one."""

    def title(self) -> str:
        """Return the same in short, for people: the engine, its address if that is unusual, and its builder."""

    def planned_image(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """Return the image as far as it is known before it is built: it has no ID yet."""

    def base_id(self, plan: Plan) -> str:
        """Return what identifies the base as it is now; "" if the engine does not have it."""

    def missing_helper(self, registry: str) -> AzuremlTasksError | None:
        """Return the error of a pull or push for the login server *registry* if a credential helper is missing."""

    def base_python(self, plan: Plan) -> tuple[int, int] | None:
        """Return the version of the base's Python; None if it is not known, or the base is not on this machine."""

    def base_variables(self, plan: Plan) -> Mapping[str, str] | None:
        """Return the environment variables that the base sets; None if the base is not on this machine."""

    def check_base(self, plan: Plan) -> None:
        """Check what can be checked of the base before a build, if it is on this machine."""

    def check_push(self, plan: Plan) -> None:
        """Check what can be checked of a push before anything is built."""

    def tag_image(self, image: BuiltImage, names: Sequence[str]) -> None:
        """Give an image that exists these names."""

    def build(
        self,
        plan: Plan,
        context: BuildContext,
        *,
        no_cache: bool,
        pull: bool,
        smoke_test: bool,
        previous: BuiltImage | None,
        keep_failure: Callable[[FailedStep], None],
    ) -> BuiltImage:
        """Check the base and build the image with the plan's names.

        Args:
            plan: the image.
            context: its files.
            no_cache: build every step, and use no cached layers.
            pull: pull the base first.
            smoke_test: run the smoke test inside the build if no engine can run it afterwards, and keep only an
                image that passed.
            previous: the image that was built last, whose layers may be used again; None if there is none.
            keep_failure: takes the step at which the build fails.
        """

    def base_as_image(self, plan: Plan) -> BuiltImage:
        """Pull the base if it is missing, check it, and return it as an image to run; under --dry it may have no ID."""

    def make_packages_folder(
        self, image: BuiltImage, files: Sequence[ContextFile], folder: Path, made_from: str
    ) -> None:
        """Install packages in a container of the base and replace a folder of the project by what is new.

        Args:
            image: the base.
            files: members of the build context for pip.
            folder: absolute path; it is not there, or this method has made it.
            made_from: what decides its content, which it then states.
        """

    def exists(self, image: BuiltImage) -> bool:
        """Return whether the image is still where it was built."""

    def image_bytes(self, image: BuiltImage) -> int | None:
        """Return the bytes of an image with its base, as the engine stores it; None if that is not known."""

    def smoke_test(self, plan: Plan, image: BuiltImage, keep_log: Callable[[str], None]) -> Report | None:
        """Run the image and send the plan's requests; None under --dry.

        Args:
            plan: with the requests.
            image: to run.
            keep_log: takes what the container has printed if there will be no report, as after Ctrl-C.
        """

    def answering(self, plan: Plan, image: BuiltImage) -> AbstractContextManager[AnsweringServer]:
        """Run the image on this machine for the block, which begins once its health check answers; not under --dry.

        Raises:
            SmokeTestError: it does not answer.
            EngineError: there is no engine here, or it cannot run the image.
        """

    def digest(self, image: BuiltImage) -> str:
        """Return the digest that a registry gives the image, `sha256:…`; "" if only a push tells."""

    def push(self, image: BuiltImage, name: str, *, never_moves: bool = False) -> PushedTag:
        """Push the image as *name* and return its digest and what that tag named before; "" twice under --dry.

        Args:
            image: that was built.
            name: `login-server/repository:tag`.
            never_moves: push nothing if the registry has that tag, and leave no such name on an engine.

        Raises:
            AzuremlTasksError: its `state` is what the push has left in the registry; "" if that is nothing.
        """

    def discard_candidate(self, image: BuiltImage) -> None:
        """Remove what only served the smoke test: the image has its names now, or has failed."""

    def layer_store(self, plan: Plan) -> LayerStore:
        """Return the cached layers of the project of *plan*."""

    def remove_leftovers(self) -> list[str]:
        """Remove what runs of this project that were killed have left on this machine; return what was removed."""

    def remove(self, image: BuiltImage) -> list[str]:
        """Remove the image by its names. Return what was removed."""
