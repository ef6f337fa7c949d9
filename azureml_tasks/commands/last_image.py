"""The image that build recorded, and how messages and commands to paste name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.commands import mounting
from azureml_tasks.errors import BuildError
from azureml_tasks.notice import Notice

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext


def last_image(run: RunContext, prepared: Prepared) -> BuiltImage:
    """Return the image that build recorded; warn if the files are no longer those that it was built from."""
    image = recorded_image(run, prepared)
    if prepared.context.sha256 != image.context_sha256:
        what = f"files have changed since {image.names[0]} was built; this command uses what was built"
        run.reporter.warn(Notice("files-changed", what))
    return image


def recorded_image(run: RunContext, prepared: Prepared) -> BuiltImage:
    """Return the image that build recorded; the base if code is mounted.

    Raises:
        BuildError: nothing is built, or the image is gone.
    """
    engine = prepared.engine
    if prepared.plan.mounted:
        return mounting.base_to_run(prepared)
    if run.reporter.dry and not run.records.has_build():
        return engine.planned_image(prepared.plan, prepared.context)
    image = run.records.read_build()
    name = image.names[0]
    if image.engine != engine.name:
        what = f"{name} was built by the engine {image.engine}, not by {engine.name}."
        raise BuildError(what, next_step=f"Add: --engine {image.engine}")
    if not engine.exists(image):
        where = "the registry" if image.engine == "acr" else "the engine"
        what = f"The image that was built last, {name} ({image.id[:19]}), is gone from {where}."
        raise BuildError(what, next_step=f"invoke image.build{engine_flag(image)}")
    return image


def engine_flag(image: BuiltImage) -> str:
    """Return the flag that a command to paste needs to mean the engine that has *image*."""
    return f" --engine {image.engine}" if image.engine != "docker" else ""


def tag_flags(run: RunContext, image: BuiltImage) -> str:
    """Return the flags that a command to paste needs to push *image* with its tags, if those are not of its build."""
    if not run.records.has_build() or run.records.read_build().names == image.names:
        return ""
    return "".join(f" --tag={name.rpartition(':')[2]}" for name in image.names)


def where_built(image: BuiltImage) -> str:
    """Return where a built image is, to follow "The image was built"."""
    return f" by run {image.run}" if image.run else f" as {image.names[0]}"
