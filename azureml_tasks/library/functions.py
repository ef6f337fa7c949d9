"""Build, smoke-test, push and release as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.commands import pipeline
from azureml_tasks.commands.image_smoke_test import refuse_failed
from azureml_tasks.library.arguments import Arguments, running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from azureml_tasks.commands.results import BuildResult, PushResult, ReleaseResult, SmokeTestResult
    from azureml_tasks.library.arguments import EngineName
    from azureml_tasks.library.progress import Progress


def build(
    project: Path | str = ".",
    *,
    image: str | None = None,
    base: str | None = None,
    registry: str | None = None,
    tags: Sequence[str] | None = None,
    engine: EngineName = "docker",
    secrets: Mapping[str, str] | None = None,
    allow_source_builds: bool = False,
    no_cache: bool = False,
    pull: bool = False,
    root: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[BuildResult, ...]:
    """Build each image of a project, or the one that *image* names, and return one result for each.

    Args:
        project: its folder, relative to the current folder.
        image: one of the table's images; None for all.
        base: image to extend, instead of the table's.
        registry: login server, instead of the table's.
        tags: of the image, instead of the table's.
        engine: "docker", "acr" (Azure Container Registry), or "auto": docker if it answers, else acr.
        secrets: ID of a secret that the table wants → where it is: a file, "env:VARIABLE" or "default".
        allow_source_builds: let packages without a wheel be built while secrets are mounted.
        no_cache: build every step again.
        pull: pull a newer base first.
        root: folder above the project that its files must be in, relative to the current folder.
        progress: takes each event. An exception of it ends the function.

    Raises:
        SettingsError: the table, a file that it names or an argument is wrong.
        EngineError: the engine does not answer, or cannot do what the table asks for.
        BuildError: a step failed.
        RegistryError: a registry refuses the base.
        RemoteBuildError: a remote build did not finish.
        MachineError: this machine cannot do what is needed.
    """
    arguments = Arguments(
        project=project,
        image=image,
        base=base,
        registry=registry,
        tags=tags,
        engine=engine,
        secrets=secrets,
        allow_source_builds=allow_source_builds,
        root=root,
        progress=progress,
    )
    with running(arguments) as (run, reporter):
        return tuple(pipeline.build(run, no_cache=no_cache, pull=pull, on_step=reporter.ended))


def smoke_test(
    project: Path | str = ".",
    *,
    image: str | None = None,
    base: str | None = None,
    engine: EngineName = "docker",
    root: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[SmokeTestResult, ...]:
    """Run each image that was built last as Azure ML would, test that it serves, and return one result for each.

    Args:
        project: its folder, relative to the current folder.
        image: one of the table's images; None for all.
        base: that it was built with, if not the table's.
        engine: that built it, see `build`.
        root: folder above the project that its files must be in.
        progress: takes each event.

    Raises:
        FailedSmokeTest: an image has failed; it has the results of all.
        SettingsError: the table, a file that it names or an argument is wrong.
        BuildError: nothing is built, or the image is gone.
        EngineError: the engine does not answer, or cannot run the image.
        RegistryError: a registry refuses the base that is pulled, or the image that a remote build made.
        MachineError: this machine cannot do what is needed.
    """
    arguments = Arguments(
        project=project, image=image, base=base, engine=engine, root=root, progress=progress
    )
    with running(arguments) as (run, reporter):
        results = pipeline.smoke_test(run, on_step=reporter.ended)
        refuse_failed(*results)
        return tuple(results)


def push(
    project: Path | str = ".",
    *,
    image: str | None = None,
    base: str | None = None,
    registry: str | None = None,
    tags: Sequence[str] | None = None,
    engine: EngineName = "docker",
    untested: bool = False,
    root: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[PushResult, ...]:
    """Push each image that passed its smoke test, and return one result for each.

    Args:
        project: its folder, relative to the current folder.
        image: one of the table's images; None for all.
        base: that it was built with, if not the table's.
        registry: login server, instead of the table's.
        tags: instead of those that it was built with.
        engine: that built it, see `build`.
        untested: push even if the image has not passed.
        root: folder above the project that its files must be in.
        progress: takes each event.

    Raises:
        SettingsError: the table or an argument is wrong, or names no registry.
        BuildError: nothing is built, or the image is gone.
        SmokeTestError: the image has not passed the smoke test that the table asks for.
        EngineError: the engine does not answer.
        RegistryError: the registry refuses.
        MachineError: this machine cannot do what is needed.
    """
    arguments = Arguments(
        project=project,
        image=image,
        base=base,
        registry=registry,
        tags=tags,
        engine=engine,
        root=root,
        progress=progress,
    )
    with running(arguments) as (run, reporter):
        return tuple(pipeline.push(run, untested=untested, on_step=reporter.ended))


def release(
    project: Path | str = ".",
    *,
    image: str | None = None,
    base: str | None = None,
    registry: str | None = None,
    tags: Sequence[str] | None = None,
    engine: EngineName = "docker",
    secrets: Mapping[str, str] | None = None,
    allow_source_builds: bool = False,
    no_cache: bool = False,
    pull: bool = False,
    untested: bool = False,
    root: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[ReleaseResult, ...]:
    """Build, smoke-test and push each image, and return one result for each; stop at the first step that fails.

    Args:
        project: its folder, relative to the current folder.
        image: one of the table's images; None for all.
        base: image to extend, instead of the table's.
        registry: login server, instead of the table's.
        tags: of the image, instead of the table's.
        engine: see `build`.
        secrets: see `build`.
        allow_source_builds: let packages without a wheel be built while secrets are mounted.
        no_cache: build every step again.
        pull: pull a newer base first.
        untested: push even if the smoke test fails.
        root: folder above the project that its files must be in.
        progress: takes each event.

    Raises:
        AzuremlTasksError: as `build`, `smoke_test` and `push` do.
    """
    arguments = Arguments(
        project=project,
        image=image,
        base=base,
        registry=registry,
        tags=tags,
        engine=engine,
        secrets=secrets,
        allow_source_builds=allow_source_builds,
        root=root,
        progress=progress,
    )
    with running(arguments) as (run, reporter):
        return tuple(
            pipeline.release(run, no_cache=no_cache, pull=pull, untested=untested, on_step=reporter.ended)
        )
