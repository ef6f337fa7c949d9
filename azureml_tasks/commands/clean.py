"""What is left of a project's builds, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.commands.run_context import open_engine, prepare, where_it_was_built
from azureml_tasks.errors import stating
from azureml_tasks.state.records import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.commands.run_context import RunContext

__all__ = ["clean"]


def clean(job: RunContext) -> None:
    """Remove the image that was recorded, by its names, what it stands on here, and the records; nothing else."""
    with stating("Nothing was removed."):
        if not job.records.folder.is_dir():
            job.reporter.say(f"nothing to remove: there is no {FOLDER} here")
            return
        if job.records.has_build():
            for name in _left(job):
                job.reporter.result(f"removed {name}")
    if job.reporter.effect(["rm", "-r", str(job.records.folder)]):
        job.records.remove()
        job.reporter.result(f"removed {FOLDER}")


def _left(job: RunContext) -> Iterator[str]:
    """Remove what builds have left on the engine that has it; what a registry has is left for no other engine.

    What a registry keeps for the next build is the team's, and stays.
    """
    engine = job.records.read_build().engine
    wanted = job._replace(engine=engine if job.engine == "auto" or engine == "acr" else job.engine)
    plan = where_it_was_built(wanted, prepare(job)[0])
    found = open_engine(wanted, plan)
    yield from found.remove(job.records.read_all_names())
    if found.name != "acr":
        layer_store = found.layer_store(plan)
        yield from (kept.name for kept in layer_store.all() if layer_store.remove(kept))
