"""Start, follow and cancel runs of ACR Tasks."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks import signals
from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.azure_errors import NoAnswerError
from azureml_tasks.engines.acr.run_follower import RunFollower
from azureml_tasks.engines.acr.tasks_api import RunRequest
from azureml_tasks.engines.acr.upload import TargetRefusedError, upload
from azureml_tasks.engines.finish_call import finish_call
from azureml_tasks.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.acr.run_log import RunLog
    from azureml_tasks.engines.acr.session import Session
    from azureml_tasks.engines.acr.tasks_api import Run, UploadTarget
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.event_lines import EventCollector

_UPLOADS = 3
"""URLs to which an upload is tried."""


@dataclass(frozen=True, kw_only=True)
class TaskRuns:
    """The runs of one command.

    Args:
        session: at the registry.
        plan: the image.
        reporter: gets output.
        runs: the runs that were started or followed.
    """

    session: Session
    plan: Plan
    reporter: Reporter
    runs: list[Run] = field(default_factory=list)

    @contextmanager
    def cancelled_on_interrupt(self) -> Iterator[None]:
        """Cancel the runs and wait for their end if Ctrl-C or a signal ends the block."""
        try:
            yield
        except (KeyboardInterrupt, Terminated):
            signals.acknowledge()
            for run in self.runs:
                self._follower.cancel(run)
            raise

    def start(
        self, files: tuple[ContextFile, ...], make_request: Callable[[RunRequest], dict[str, Any]]
    ) -> Run:
        """Upload *files*, start a run, and say its ID and where to look at it.

        Raises:
            RegistryError: Azure does not permit it.
            RemoteBuildError: the upload fails, or the run cannot be queued.
        """
        target = self._upload(files)
        request = RunRequest(
            acr=self._acr,
            platform=self.plan.platform,
            source=target.path,
            abac=self.session.registry.abac,
        )
        run = self._queue(make_request(request))
        links = self.session.run_links(run.id)
        self.reporter.say(f"run {run.id} is {run.status.lower()}; to look at it:\n{links}")
        return run

    def _upload(self, files: tuple[ContextFile, ...]) -> UploadTarget:
        """Upload *files*, to a new URL if one has expired: a large model can take longer than its signature lasts."""
        for _ in range(_UPLOADS - 1):
            target = self.session.tasks.upload_target()
            try:
                upload(target, files, self.reporter)
            except TargetRefusedError as error:
                self.reporter.say(f"{error.what} {error.said}; uploading it to a new URL")
            else:
                return target
        target = self.session.tasks.upload_target()
        upload(target, files, self.reporter)
        return target

    def follow(self, run: Run, collector: EventCollector) -> tuple[Run, RunLog]:
        """Show the log of *run* until it ends; see `RunFollower.follow`."""
        if run not in self.runs:
            self.runs.append(run)
        return self._follower.follow(run, collector)

    def _queue(self, body: dict[str, Any]) -> Run:
        """Start the run; an interrupt meanwhile waits for the answer, so that the run is known and cancelled."""
        try:
            finish_call(lambda: self.runs.append(self.session.tasks.start(body)))
        except NoAnswerError as error:
            command = f"az acr task list-runs --registry {self.session.registry.name} --top 3"
            error.state = f"A run may have been started; to check: {command}"
            raise
        return self.runs[-1]

    @property
    def _acr(self) -> Acr:
        return self.plan.acr or Acr()

    @property
    def _follower(self) -> RunFollower:
        return RunFollower(
            tasks=self.session.tasks,
            reporter=self.reporter,
            timeout=self._acr.timeout,
        )
