"""The agents, which execute runs on the real engine."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import docker

from tests.machine.acr import step_runner
from tests.machine.acr.azure_state import Settings
from tests.machine.acr.credentials import credentials
from tests.machine.acr.data_plane import DataPlane
from tests.machine.acr.engine_cleanup import EngineCleanup
from tests.machine.acr.run_execution import RunExecution
from tests.machine.acr.runs import Run
from tests.machine.acr.shell import Shell
from tests.machine.acr.source import BadSourceError
from tests.machine.acr.step_runner import StepError, StepRunner
from tests.machine.acr.storage import Storage
from tests.machine.acr.task_file import TaskError

__all__ = ["Agents"]

_COMPLETE = {
    "Succeeded": "successful",
    "Failed": "failed",
    "Canceled": "canceled",
    "Error": "internalerror",
    "Timeout": "timedout",
}
_SAID = {"Succeeded": "was successful", "Canceled": "was canceled", "Timeout": "timed out"}
_RUN_SECONDS = 3600


@dataclass(kw_only=True)
class Agents:
    """Executes runs.

    Args:
        client: the engine.
        host: its DOCKER_HOST.
        docker: the folder of a command line with BuildKit built in.
        storage: sources.
        plane: gives the runs' credentials.
        settings: how builds go.
        digest: repository, tag -> the digest that the registry itself names.
        cache: name under which built images stay until the loopback ends.
    """

    client: docker.DockerClient
    host: str
    docker: Path
    storage: Storage
    plane: DataPlane
    settings: Settings
    digest: Callable[[str, str], str | None]
    cache: str
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, run: Run) -> None:
        """Execute a run until it ends."""
        try:
            if run.script.queued:
                run.script.wait()
            if run.cancelled.is_set():
                self._end(run, "Canceled", None)
                return
            run.become("Started")
            run.log.open()
            run.become("Running")
            if run.script.silent:
                run.script.wait()
            if run.cancelled.is_set():
                self._end(run, "Canceled", None)
            elif run.script.status:
                run.output_images.extend(run.script.output_images)
                run.log.raw(run.script.log)
                self._end(run, run.script.status, run.script.error)
            else:
                self._carry_out(run)
        except Exception as error:
            self._end(run, "Error", f"{type(error).__name__}: {error}")
            raise
        finally:
            run.done.set()

    def _end(self, run: Run, status: str, error: str | None) -> None:
        run.error = error
        words = f"Run ID: {run.id} {_SAID.get(status, 'failed')} after {run.log.seconds()}s"
        run.log.raw(f"\n{words}{f'. Error: {error}' if error else ''}\n")
        run.become(status)
        run.log.complete(_COMPLETE[status])

    def _carry_out(self, run: Run) -> None:
        folder = Path(tempfile.mkdtemp(prefix="azureml-tasks-"))
        runner = self._step_runner(run, folder)
        late = threading.Event()

        def stop() -> None:
            runner.shell.stop()
            runner.cleanup.remove_containers()

        def expire() -> None:
            late.set()
            stop()

        timer = threading.Timer(run.request.get("timeout") or _RUN_SECONDS, expire)
        timer.daemon = True
        timer.start()
        run.when_cancelled(stop)
        try:
            error = self._follow(run, runner, stop)
        finally:
            run.when_cancelled(None)
            timer.cancel()
            with self._lock:
                runner.cleanup.remove()
            shutil.rmtree(folder, ignore_errors=True)
        if run.cancelled.is_set():
            self._end(run, "Canceled", None)
        elif late.is_set():
            self._end(run, "Timeout", "timed out")
        else:
            self._end(run, "Failed" if error else "Succeeded", error)

    def _step_runner(self, run: Run, folder: Path) -> StepRunner:
        keep = "" if self.settings.fresh_agents else self.cache
        variables = step_runner.environment(folder, self.docker, self.host, credentials(run, self.plane))
        runner = StepRunner(
            folder=folder,
            log=run.log,
            cleanup=EngineCleanup(client=self.client, run=step_runner.word(), keep=keep),
            shell=Shell(variables, folder / "workspace"),
            no_cache=not keep,
        )
        runner.workspace.mkdir()
        return runner

    def _follow(self, run: Run, runner: StepRunner, stop: Callable[[], None]) -> str | None:
        """Execute the run and return the error in its last line; None if it succeeded."""
        servers = tuple(credentials(run, self.plane))
        execution = RunExecution(
            run=run, runner=runner, storage=self.storage, servers=servers, digest=self.digest
        )
        try:
            execution.execute(stop)
        except BadSourceError as error:
            run.log.raw(f"{error}\n")
            return "failed to download source"
        except (StepError, TaskError) as error:
            run.log.raw(f"{error}\n")
            return "failed during run, err: exit status 1"
        return None
