"""The image that was built last, where building it anew would make the same: then there is nothing to build."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from azureml_tasks.incremental.fingerprint import changed_parts, fingerprint_parts

if TYPE_CHECKING:
    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.commands.run_context import Prepared, RunContext
    from azureml_tasks.planning.plan import Plan

__all__ = ["as_before", "differences"]

_DAY = 86_400


def as_before(job: RunContext, made: Prepared) -> BuiltImage | None:
    """The recorded image, with the plan's names, where it is made of just what the plan now says and still there.

    A label of an image says nothing of that kind: an image that is built on ours inherits it.
    """
    if not job.records.has_build():
        return None
    image = job.records.read_build()
    if image.engine != made.engine.name or differences(made, image) or not made.engine.exists(image):
        return None
    made.engine.tag_image(image, made.plan.names)
    return image._replace(names=made.plan.names, user=made.plan.user)


def differences(made: Prepared, image: BuiltImage) -> list[str]:
    """What *image* is not made of as the plan now says, as people say it, the first to be built first."""
    base = made.engine.base_id(made.plan)
    if not image.fingerprint_parts or not base:
        return ["the base"]
    found = changed_parts(image.fingerprint_parts, fingerprint_parts(made.plan, made.context, base))
    return found or _age(made.plan, image)


def _age(plan: Plan, image: BuiltImage) -> list[str]:
    days = (time.time() - image.built_at) / _DAY
    old = not plan.pinned and days > plan.cached_layers_max_age
    return [f"its age of {days:.0f} days, with packages that are not pinned"] if old else []
