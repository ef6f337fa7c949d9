"""Build an image on a Docker engine: from the plan, in cached layers, or by the project's own Dockerfile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.api_build import takes_archives
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.engines.docker.base_image import prepare_base
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import note_builder
from azureml_tasks.engines.docker.layered_build import LayeredBuild
from azureml_tasks.engines.docker.leftovers import keep_image, tracked_run
from azureml_tasks.engines.docker.own_build import OwnBuild
from azureml_tasks.engines.docker.runtime_user import refuse_user_not_made
from azureml_tasks.incremental.fingerprint import fingerprint_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.state.failed_step import FailedStep


def build_image(
    engine: DockerEngine,
    plan: Plan,
    context: BuildContext,
    *,
    no_cache: bool,
    pull: bool,
    previous: BuiltImage | None,
    keep_failure: Callable[[FailedStep], None],
) -> BuiltImage:
    """Check the base and build; see `protocol.Engine.build`.

    Args:
        engine: that builds.
        plan: the image.
        context: its files.
        no_cache: build every step.
        pull: pull the base first.
        previous: the image that was built last; None if there is none, or if no cache is used.
        keep_failure: takes the step that failed.

    Returns:
        The image; the planned one under --dry.
    """
    if plan.own_dockerfile:
        return _build_own(
            engine, plan, context, no_cache=no_cache, pull=pull, previous=previous, keep_failure=keep_failure
        )
    planned = engine.planned_image(plan, context)
    with (
        translate_errors(engine.client.host),
        tracked_run(engine.client, engine.folder, engine.reporter) as run,
    ):
        base = prepare_base(engine.client, plan, engine.reporter, engine.folder, pull=pull)
        build = Build(
            client=engine.client,
            builder=engine.builder,
            reporter=engine.reporter,
            tracked=run,
            takes_archives=base is not None and takes_archives(engine.client, base.driver),
            keep_failure=keep_failure,
        )
        if not build.announce(plan, context, no_cache=no_cache) or not base:
            return planned
        engine.folder.mkdir(parents=True, exist_ok=True)
        parts = fingerprint_parts(plan, context, base.id)
        layered = LayeredBuild(
            build=build,
            store=engine.layer_store(plan),
            plan=plan,
            context=context,
            parts=parts,
            previous=previous,
            no_cache=no_cache,
            judge=None
            if base.has_user
            else partial(refuse_user_not_made, engine.client, plan, engine.reporter, engine.folder),
        )
        image = layered.run()
        keep_image(engine.client, run, image.id, base.id)
        note_builder(engine.client, engine.builder, engine.folder)
        return planned._replace(
            id=image.id,
            cached_layers=(image.shared_layers,) if image.shared_layers else (),
            fingerprint_parts=parts,
            installed_at=image.installed_at,
            requirements=plan.python.lines if plan.python else (),
        )


def _build_own(
    engine: DockerEngine,
    plan: Plan,
    context: BuildContext,
    *,
    no_cache: bool,
    pull: bool,
    previous: BuiltImage | None,
    keep_failure: Callable[[FailedStep], None],
) -> BuiltImage:
    """Build the project's own Dockerfile; return the planned image under --dry."""
    planned = engine.planned_image(plan, context)
    with (
        translate_errors(engine.client.host),
        tracked_run(engine.client, engine.folder, engine.reporter) as run,
    ):
        build = Build(
            client=engine.client,
            builder=engine.builder,
            reporter=engine.reporter,
            tracked=run,
            keep_failure=keep_failure,
        )
        if not build.announce(plan, context, no_cache=no_cache, pull=pull):
            return planned
        engine.folder.mkdir(parents=True, exist_ok=True)
        own = OwnBuild(build=build, plan=plan, context=context, records=engine.folder)
        image = own.run(no_cache=no_cache, pull=pull, known=previous.id if previous else "")
        note_builder(engine.client, engine.builder, engine.folder)
        return planned._replace(id=str(image["Id"]), user=str(image["Config"].get("User") or ""))
