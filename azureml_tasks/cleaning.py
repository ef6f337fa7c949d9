"""What is left of a project's builds, and its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.errors import stating
from azureml_tasks.job import open_engine, prepare, where_it_was_built
from azureml_tasks.records import FOLDER

if TYPE_CHECKING:
    from azureml_tasks.engines.base import Engine
    from azureml_tasks.job import Job

__all__ = ["clean"]


def clean(job: Job) -> None:
    """Remove the image that was recorded, by its names, and the records; nothing else."""
    with stating("Nothing was removed."):
        if not job.records.folder.is_dir():
            job.terminal.say(f"nothing to remove: there is no {FOLDER} here")
            return
        if job.records.has_build():
            for name in _engine_of_record(job).remove(job.records.read_all_names()):
                job.terminal.result(f"removed {name}")
    if job.terminal.effect(["rm", "-r", str(job.records.folder)]):
        job.records.remove()
        job.terminal.result(f"removed {FOLDER}")


def _engine_of_record(job: Job) -> Engine:
    """The engine that has what was recorded; a registry is not left for an engine that knows nothing of it."""
    engine = job.records.read_build().engine
    wanted = replace(job, engine=engine if job.engine == "auto" or engine == "acr" else job.engine)
    return open_engine(wanted, where_it_was_built(wanted, prepare(job)[0]))
