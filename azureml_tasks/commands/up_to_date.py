"""Whether the image that was built last is what a build would make now. Build and check both ask here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.image_reference import parse
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.incremental.rebuild_reasons import Rebuild, rebuild_of

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.planning.plan import Plan


def reusable_image(run: RunContext, prepared: Prepared) -> BuiltImage | None:
    """Return the recorded image with the plan's names if it is up to date and still on the engine.

    For a Dockerfile of the project's own that is never said: the cache of its builder decides.
    """
    plan, engine = prepared.plan, prepared.engine
    if plan.own_dockerfile or not run.records.has_build():
        return None
    image = run.records.read_build()
    if image.engine != engine.name or not _is_in_registry_of(engine, image):
        return None
    if needed_rebuild(run, plan, prepared.context, engine.base_id(plan), image).stages:
        return None
    if not engine.exists(image):
        return None
    engine.tag_image(image, plan.names)
    return image._replace(names=plan.names, user=plan.user, version=plan.version)


def _is_in_registry_of(engine: Engine, image: BuiltImage) -> bool:
    """Return whether *engine* is that of any registry, or of the one for which *image* was built."""
    if image.engine == "docker":
        return True
    reference = parse(image.names[0])
    return reference is not None and reference.host.lower() == engine.registry.lower()


def needed_rebuild(
    run: RunContext, plan: Plan, context: BuildContext, base_id: str, image: BuiltImage
) -> Rebuild:
    """Return which stages of *image* a build would build again, and why.

    A label of an image would not do as proof: an image that is built on it inherits the label.

    Args:
        run: the run, whose records hold the files of the last build.
        plan: the image to build.
        context: its files.
        base_id: ID of the base as it is now; "" if it is not known.
        image: the image that was built last.
    """
    parts = fingerprint_parts(plan, context, base_id)
    if parts == image.fingerprint_parts:  # Without a difference nobody needs to know the files.
        return rebuild_of(plan, image, parts)
    files = run.records.read_files(image)
    return rebuild_of(plan, image, parts, files_before=files, files_now=context.contents)
