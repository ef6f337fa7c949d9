"""One hand-off: what a run needs is sent, the run is asked for, followed, and stopped where a person stops us."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.azure_errors import UnansweredError
from azureml_tasks.engines.acr.run_follower import Followed, Follower
from azureml_tasks.engines.acr.tasks_api import Request
from azureml_tasks.engines.acr.upload import upload
from azureml_tasks.engines.interrupts import to_its_end
from azureml_tasks.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.engines.acr import cloud_smoke_test
    from azureml_tasks.engines.acr.session import Session
    from azureml_tasks.engines.acr.tasks_api import Run
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

__all__ = ["RemoteBuild"]


@dataclass(frozen=True, kw_only=True)
class RemoteBuild:
    """The way of one plan through a registry's tasks.

    Args:
        session: at the registry.
        plan: what is handed off.
        reporter: where words go.
        runs: those that it has started or follows.
    """

    session: Session
    plan: Plan
    reporter: Reporter
    runs: list[Run] = field(default_factory=list)

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Where Ctrl-C or SIGTERM ends the block, its runs end first."""
        try:
            yield
        except (KeyboardInterrupt, Terminated):
            for run in self.runs:
                self.follower.cancel(run)
            raise

    @property
    def acr(self) -> Acr:
        """How it is handed off; the defaults where the table does not say."""
        return self.plan.acr or Acr()

    @property
    def follower(self) -> Follower:
        """Follows the runs of this registry."""
        return Follower(tasks=self.session.tasks, reporter=self.reporter, timeout=self.acr.timeout)

    def start(self, files: tuple[ContextFile, ...], ask: Callable[[Request], dict[str, Any]]) -> Run:
        """Send *files* and ask for a run; its id and how to look at it are said at once.

        Raises:
            RegistryError: Azure does not permit it.
            HandOffError: it cannot be sent, or the run cannot be put into the queue.
        """
        tasks = self.session.tasks
        source = tasks.source()
        upload(source, files, self.reporter)
        request = Request(
            acr=self.acr, platform=self.plan.platform, source=source.path, abac=self.session.registry.abac
        )
        run = self._scheduled(ask(request))
        self.reporter.say(
            f"run {run.id} is {run.status.lower()}; to look at it:\n{self.session.look_at(run.id)}"
        )
        return run

    def _scheduled(self, body: dict[str, Any]) -> Run:
        """Put it into the queue; it is among the runs also where Ctrl-C or SIGTERM comes meanwhile."""
        try:
            to_its_end(lambda: self.runs.append(self.session.tasks.schedule(body)))
        except UnansweredError as error:
            name = self.session.registry.name
            look = f"az acr task list-runs --registry {name} --top 3"
            error.state = f"Whether a run was started is not known: {look}"
            raise
        return self.runs[-1]

    def follow(self, run: Run, collector: cloud_smoke_test.Collector) -> tuple[Run, Followed]:
        """Show its log to its end; the run as it ended, and what was seen."""
        if run not in self.runs:
            self.runs.append(run)
        follower = self.follower
        follower.buildkit = bool(self.plan.secrets)
        return follower.follow(run, collector)
