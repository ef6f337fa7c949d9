"""The build of one image: find that there is nothing to build, or build it and record it."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands import mounting
from azureml_tasks.commands.build_step import build_step
from azureml_tasks.commands.results import BuildResult, ContextSize
from azureml_tasks.commands.run_records import only_warning, record_build, record_failure
from azureml_tasks.commands.up_to_date import needed_rebuild, reusable_image
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.incremental.rebuild_reasons import Rebuild
from azureml_tasks.state.failed_step import forget_failure

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.results import BuildStatus
    from azureml_tasks.commands.run_context import RunContext

_NOTHING_REBUILT = Rebuild(stages=(), reasons=())


class Built(NamedTuple):
    """An image, and the result of the step that built it or found it up to date."""

    image: BuiltImage
    result: BuildResult


def up_to_date(run: RunContext, prepared: Prepared, *, no_cache: bool, pull: bool) -> Built | None:
    """Return the image of a build that has nothing to build; None if there is something to build."""
    start = time.monotonic()
    if prepared.plan.mounted:
        run.reporter.say('nothing to build: delivery = "mount", so Azure ML mounts the code into the base')
        return built(run, prepared, mounting.base_to_run(prepared), "mounted", start)
    run.reporter.say(f"build context: {prepared.context.summary}")
    image = None if no_cache or pull else reusable_image(run, prepared)
    if not image:
        return None
    same = "files, Dockerfile, base, platform and version of azureml-tasks are those of"
    run.reporter.say(f"nothing to build: {same} {image.id}")
    if not run.reporter.dry:
        run.records.rename_build(image)
    return built(run, prepared, image, "up-to-date", start)


def build_image(
    run: RunContext, prepared: Prepared, *, no_cache: bool, pull: bool, smoke_test_inside: bool = True
) -> Built:
    """Build the image and record it; a remote build runs the smoke test as well, if no engine can do it later."""
    start = time.monotonic()
    previous = run.records.read_build() if run.records.has_build() and not no_cache else None
    rebuild = _rebuild(run, prepared, previous)
    if not run.reporter.dry:
        forget_failure(run.records)
    with build_step(run, f"build {prepared.plan.names[0]}"):
        image = prepared.engine.build(
            prepared.plan,
            prepared.context,
            no_cache=no_cache,
            pull=pull,
            smoke_test=smoke_test_inside,
            previous=previous,
            keep_failure=partial(record_failure, run),
        )
    record_build(run, prepared.plan, image)
    if not run.reporter.dry:
        with only_warning(run, "what later commands use to save time was not written"):
            if prepared.context.hashes:
                prepared.context.hashes.save()
            run.records.write_files(prepared.context)
    return built(run, prepared, image, "planned" if run.reporter.dry else "built", start, rebuild)


def _rebuild(run: RunContext, prepared: Prepared, previous: BuiltImage | None) -> Rebuild:
    """Return what is built again of the image that was built last, and why."""
    plan, engine = prepared.plan, prepared.engine
    if not previous or plan.own_dockerfile or previous.engine != engine.name:
        return _NOTHING_REBUILT
    return needed_rebuild(run, plan, prepared.context, engine.base_id(plan), previous)


def built(
    run: RunContext,
    prepared: Prepared,
    image: BuiltImage,
    status: BuildStatus,
    start: float,
    rebuild: Rebuild = _NOTHING_REBUILT,
) -> Built:
    """Return an image with its result; *start* is when the step began, by `time.monotonic`."""
    context = prepared.context
    result = BuildResult(
        status=status,
        id=image.id,
        names=image.names,
        engine=image.engine,
        context=ContextSize(files=context.file_count, bytes=context.size, sha256=context.sha256),
        rebuilt=rebuild.stages,
        because=rebuild.reasons,
        bytes=_bytes_of(prepared, image),
        candidate=image.candidate,
        run=image.run,
        seconds=round(time.monotonic() - start, 3),
        image_name=run.image,
        can_be_served=image.engine == "docker" and not prepared.plan.smoke_test.mini_batch,
    )
    return Built(image, result)


def _bytes_of(prepared: Prepared, image: BuiltImage) -> int | None:
    """Return the size of an image; None if the engine does not say it, which must not hide that it was built."""
    with suppress(AzuremlTasksError):
        return prepared.engine.image_bytes(image) if image.id else None
    return None
