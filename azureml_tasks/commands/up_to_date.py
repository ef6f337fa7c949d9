"""Whether the image that was built last is what a build would make now. Build and check both ask here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from azureml_tasks.incremental.fingerprint import changed_parts, fingerprint_parts

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.run_context import Prepared, RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan

__all__ = ["outdated_parts", "reusable_image"]

_DAY = 86_400  # seconds


def reusable_image(run: RunContext, prepared: Prepared) -> BuiltImage | None:
    """Return the recorded image with the plan's names if it is up to date and still on the engine."""
    plan, engine = prepared.plan, prepared.engine
    if not run.records.has_build():
        return None
    image = run.records.read_build()
    if image.engine != engine.name or outdated_parts(plan, prepared.context, engine.base_id(plan), image):
        return None
    if not engine.exists(image):
        return None
    engine.tag_image(image, plan.names)
    return image._replace(names=plan.names, user=plan.user)


def outdated_parts(plan: Plan, context: BuildContext, base_id: str, image: BuiltImage) -> list[str]:
    """Return the parts of *image* that a build would make differently, the first to be built first.

    A label of an image would not do as proof: an image that is built on it inherits the label.

    Args:
        plan: the image to build.
        context: its files.
        base_id: ID of the base as it is now; "" if it is not known.
        image: the image that was built last.
    """
    if not image.fingerprint_parts or not base_id:
        return ["the base"]
    changed = changed_parts(image.fingerprint_parts, fingerprint_parts(plan, context, base_id))
    return changed or _age(plan, image)


def _age(plan: Plan, image: BuiltImage) -> list[str]:
    days = (time.time() - image.built_at) / _DAY
    is_old = not plan.pinned and days > plan.cached_layers_max_age
    return [f"its age of {days:.0f} days, with packages that are not pinned"] if is_old else []
