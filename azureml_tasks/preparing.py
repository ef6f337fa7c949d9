"""The plan of a run: the one that is remembered of the project as it stands, or else a new one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from azureml_tasks import git
from azureml_tasks.errors import SettingsError
from azureml_tasks.memory import asked

if TYPE_CHECKING:
    from azureml_tasks.file_hashes import FileHashes
    from azureml_tasks.job import Job
    from azureml_tasks.planning import Plan

__all__ = ["planned", "remember"]


def planned(job: Job, hashes: FileHashes, *, keep: bool) -> Plan:
    """The plan of *job*, written down for the next command where it may be, and is not yet.

    Raises:
        SettingsError: with everything that is wrong in the table and in the files it names.
    """
    root, memory, question = job.folder.resolve(), job.records.memory(), asked(job.overrides)
    with git.asking(root) as answer:
        if remembered := memory.recall(question, answer, hashes):
            return remembered
        revision = answer(None)
    from azureml_tasks.planning import plan
    from azureml_tasks.project import read_project
    from azureml_tasks.witness import Witness

    witness = Witness(hashes=hashes)
    made = plan(read_project(root, job.overrides, revision, witness))
    if keep:
        memory.keep(question, revision, made, witness)
    return made


def remember(job: Job, known: FileHashes | None) -> None:
    """Write down what the next command need not find out: before there was a folder for it, nothing was.

    Args:
        job: the run.
        known: the hashes that this command has taken.
    """
    if known and not job.records.memory().file.exists():
        known.keep()
        # What is wrong by now is for the next command to say: this one is done.
        with suppress(SettingsError):
            planned(job, known, keep=True)
