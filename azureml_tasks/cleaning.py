"""What is left of a project's builds, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.errors import stating
from azureml_tasks.job import open_engine, prepare, where_it_was_built
from azureml_tasks.records import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.job import Job

__all__ = ["clean"]


def clean(job: Job) -> None:
    """Remove the image that was recorded, by its names, what it stands on here, and the records; nothing else."""
    with stating("Nothing was removed."):
        if not job.records.folder.is_dir():
            job.terminal.say(f"nothing to remove: there is no {FOLDER} here")
            return
        if job.records.has_build():
            for name in _left(job):
                job.terminal.result(f"removed {name}")
    if job.terminal.effect(["rm", "-r", str(job.records.folder)]):
        job.records.remove()
        job.terminal.result(f"removed {FOLDER}")


def _left(job: Job) -> Iterator[str]:
    """Remove what builds have left on the engine that has it; what a registry has is left for no other engine.

    What a registry keeps for the next build is the team's, and stays.
    """
    engine = job.records.read_build().engine
    wanted = job._replace(engine=engine if job.engine == "auto" or engine == "acr" else job.engine)
    plan = where_it_was_built(wanted, prepare(job)[0])
    found = open_engine(wanted, plan)
    yield from found.remove(job.records.read_all_names())
    if found.name != "acr":
        keeper = found.keeper(plan)
        yield from (kept.name for kept in keeper.all() if keeper.remove(kept))
