"""The prefixes that builds have left, to be seen and to be put away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from azureml_tasks.commands.run_context import ready
from azureml_tasks.errors import stating
from azureml_tasks.incremental.cached_layers import cached_layers_of
from azureml_tasks.incremental.fingerprint import fingerprint_parts

if TYPE_CHECKING:
    from azureml_tasks.built_image import StoredLayers
    from azureml_tasks.commands.run_context import Prepared, RunContext

__all__ = ["prune", "show"]

_DAY = 86_400


def show(job: RunContext) -> None:
    """List what the engine keeps of this project's prefixes, the newest first."""
    made = ready(job, building=False)
    found = made.engine.layer_store(made.plan).all()
    wanted = _wanted(made)
    for kept in found:
        job.reporter.result(_row(kept, now=kept.tag in wanted))
    if not found:
        job.reporter.say("no prefix is kept here")


def prune(job: RunContext) -> None:
    """Remove those that the project as it stands has no use for."""
    with stating("Nothing more was removed."):
        made = ready(job, building=False)
        layer_store = made.engine.layer_store(made.plan)
        found = layer_store.all()
        wanted = _wanted(made)
        # One image may have several names, and goes with all of them where a registry keeps it.
        in_use = {kept.id for kept in found if kept.tag in wanted}
        for kept in found:
            if kept.id not in in_use and layer_store.remove(kept):
                job.reporter.result(f"removed {kept.name}")


def _wanted(made: Prepared) -> set[str]:
    """The tags that a build of the project as it is would look for."""
    base = made.engine.base_id(made.plan)
    return {
        prefix.tag for prefix in cached_layers_of(made.plan, fingerprint_parts(made.plan, made.context, base))
    }


def _row(kept: StoredLayers, *, now: bool) -> str:
    days = (time.time() - kept.built_at) / _DAY
    size = f"{kept.size / 1e6:,.1f} MB" if kept.size else "size unknown"
    return f"{kept.name}  {size}, {days:.0f} days old{', of the project as it is now' if now else ''}"
