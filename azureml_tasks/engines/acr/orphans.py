"""Candidate images that nobody takes over: of runs that were started here and ended without this project noticing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr import az_commands
from azureml_tasks.engines.acr.azure_errors import NotFoundError
from azureml_tasks.engines.acr.candidates import candidate_repository
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.image_reference import parse
from azureml_tasks.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.engines.acr.candidates import Candidates
    from azureml_tasks.engines.acr.tasks_api import TasksApi
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.record_forms import StartedRun
    from azureml_tasks.state.records import Records

_MOST_NAMES = 10


def announce(records: Records, reporter: Reporter) -> bool:
    """Announce the commands that delete the candidates of the runs on record; return False under --dry."""
    for started in records.started_runs():
        reporter.effect(az_commands.delete(started.registry, f"{_candidates_of(started)}:{started.run}"))
    return not reporter.dry


@dataclass(frozen=True, kw_only=True)
class Orphans:
    """The candidates of runs.

    Args:
        candidates: of the project.
        tasks: of its registry.
        records: of the project.
        reporter: gets what cannot be removed.
    """

    candidates: Candidates
    tasks: TasksApi
    records: Records
    reporter: Reporter

    def remove(self) -> Iterator[str]:
        """Delete the candidate of each run on record that has ended, and yield each as it goes.

        Those of other checkouts and people are only named, with the command that deletes them.
        """
        for started in self.records.started_runs():
            if started.registry.lower() != self.candidates.repositories.login_server.lower():
                self._name(started, f"is of another registry, {started.registry}")
            elif not self._has_ended(started):
                self._name(started, "has not ended yet")
            else:
                yield from self._remove(started)
        self._name_others()

    def _remove(self, started: StartedRun) -> Iterator[str]:
        repository = _candidates_of(started)
        manifest = self.candidates.repositories.manifest(repository, started.run)
        of_run = replace(self.candidates, repository=_repository_of(started))
        if manifest and not of_run.remove(manifest.digest):
            return
        self.records.forget_run(started.run)
        if manifest:
            yield f"{started.registry}/{repository}@{manifest.digest}"

    def _has_ended(self, started: StartedRun) -> bool:
        try:
            return self.tasks.get(started.run).ended
        except NotFoundError:  # ACR forgets runs after a while.
            return True

    def _name(self, started: StartedRun, why: str) -> None:
        name = started.registry
        what = f"run {started.run} {why}; to cancel it, and to delete its candidate image:"
        fix = (
            f"az acr task cancel-run --registry {name} --run-id {started.run}\n"
            f"az acr repository delete --name {name} --image {_candidates_of(started)}:{started.run}"
        )
        self.reporter.warn(Notice("run-not-cancelled", what, fix=fix))

    def _name_others(self) -> None:
        repository = candidate_repository(self.candidates.repository)
        tags: list[str] = []
        with suppress(AzuremlTasksError):  # It is only a hint.
            tags = self.candidates.repositories.tags(repository)
        if not tags:
            return
        more = f" and {len(tags) - _MOST_NAMES} more" if len(tags) > _MOST_NAMES else ""
        self.reporter.say(
            f"candidate images of other checkouts or people, each tagged with its run, which may still be needed: "
            f"{', '.join(tags[:_MOST_NAMES])}{more}; to delete one:\n"
            f"    az acr repository delete --name {self.candidates.name} --image {repository}:RUN"
        )


def _repository_of(started: StartedRun) -> str:
    reference = parse(started.names[0])
    return reference.repository if reference else ""


def _candidates_of(started: StartedRun) -> str:
    return candidate_repository(_repository_of(started))
