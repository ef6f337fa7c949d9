"""Follow a run until it ends, and show its log live."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.acr.azure_errors import first_line
from azureml_tasks.engines.acr.run_log import RunLog
from azureml_tasks.engines.acr.upload import BLOB_OPTIONS
from azureml_tasks.errors import AzuremlTasksError, RemoteBuildError
from azureml_tasks.notice import Notice
from azureml_tasks.signals import raise_received

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.engines.acr.tasks_api import Run, TasksApi
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.smoke.event_lines import EventCollector

_INTERVALS = (1.0, 1.0, 2.0, 3.0, 5.0)
"""Seconds between polls while nothing is new; the last one repeats."""
_LOG_TIMEOUT = 60.0
"""Seconds to wait for the end of the log after the run has ended."""
_CANCEL_TIMEOUT = 120.0
"""Seconds to wait for the end of a run that was cancelled."""
_OUTAGE_TIMEOUT = 300.0
"""Seconds that Azure may fail to answer while a run continues."""
_BLOCK = 4 * 1024 * 1024
"""Bytes of the log that are read at once."""
_LONGEST_LINE = 64 * 1024
"""Bytes of a line that are shown; the lines of the smoke test's events have 8,000."""
_COMPLETE = "complete"
"""The metadata key that the blob of a log gets at its end (azure-cli, acr/_stream_utils.py)."""


def resume_command(run: str) -> str:
    """Return the command that follows the run again."""
    return f"invoke image.resume --run {run} --engine acr"


class QueueTimeoutError(RemoteBuildError):
    """A run stayed in the queue too long, and was cancelled."""


@dataclass(kw_only=True)
class RunFollower:
    """Follows the runs of a registry.

    Args:
        tasks: of the registry.
        reporter: shows the log.
        timeout: seconds that a run may stay in the queue.
        clock: returns seconds since any moment.
        sleep: waits for so many seconds.
    """

    tasks: TasksApi
    reporter: Reporter
    timeout: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self, run: Run, collector: EventCollector) -> tuple[Run, RunLog]:
        """Show the log of *run* until both have ended; lines that *collector* takes are not shown.

        Raises:
            QueueTimeoutError: the run stayed in the queue too long, and was cancelled.
            RemoteBuildError: Azure no longer answers.
        """
        log = RunLog()
        reader = LogReader(
            get_url=lambda: self.tasks.log_url(run.id),
            on_line=lambda line: self._read_line(line, log, collector),
        )
        run = self._wait_for_end(run, reader)
        self._read_rest(run, reader)
        log.complete = reader.complete
        return run, log

    def cancel(self, run: Run) -> Run:
        """Cancel *run* and wait until it ends, or for two minutes; return its last state."""
        self.reporter.say(f"cancelling run {run.id}")
        with suppress(AzuremlTasksError):  # It may have ended meanwhile, which its status shows.
            self.tasks.cancel(run.id)
        start = self.clock()
        while not run.ended and self.clock() - start < _CANCEL_TIMEOUT:
            try:
                run = self.tasks.get(run.id)
            except AzuremlTasksError as error:
                self.reporter.say(error.what)
            if not run.ended:
                self.sleep(_INTERVALS[0])
        if run.ended:
            self.reporter.say(f"run {run.id} ended: {run.status}")
        else:
            self.reporter.say(f"run {run.id} was cancelled, but has not ended yet")
        return run

    def _wait_for_end(self, run: Run, reader: LogReader) -> Run:
        start = last_answer = self.clock()
        idle_polls, fault = 0, ""
        while not run.ended:
            before = (run.status, reader.offset)
            run, last_answer = self._poll(run, last_answer)
            if run.status == "Queued" and self.clock() - start > self.timeout:
                self.cancel(run)
                raise self._queue_timeout(run)
            reader.read_new()
            if reader.fault and reader.fault != fault:
                self.reporter.say(f"cannot read the log, retrying: {reader.fault}")
                fault = reader.fault
            unchanged = (run.status, reader.offset) == before
            idle_polls = min(idle_polls + 1, len(_INTERVALS) - 1) if unchanged else 0
            if not run.ended:
                self.sleep(_INTERVALS[idle_polls])
                raise_received()
        return run

    def _poll(self, run: Run, last_answer: float) -> tuple[Run, float]:
        """Return the state of the run and when Azure last answered; *run* itself during a short outage."""
        try:
            return self.tasks.get(run.id), self.clock()
        except AzuremlTasksError as error:
            if isinstance(error, RemoteBuildError) and self.clock() - last_answer < _OUTAGE_TIMEOUT:
                self.reporter.say(f"{error.what} The run continues; retrying.")
                return run, last_answer
            error.state = f"Run {run.id} continues in ACR. To follow it again: {resume_command(run.id)}"
            raise

    def _read_rest(self, run: Run, reader: LogReader) -> None:
        start = self.clock()
        while not reader.complete and self.clock() - start < _LOG_TIMEOUT:
            reader.read_new()
            if not reader.complete:
                self.sleep(_INTERVALS[0])
        if not reader.complete:
            what = f"the end of the log of run {run.id} could not be read; the result follows from its status"
            self.reporter.warn(Notice("log-cut", what))

    def _read_line(self, line: str, log: RunLog, collector: EventCollector) -> None:
        if collector.collect(line):
            return
        self.reporter.output(line, log.add(line))

    def _queue_timeout(self, run: Run) -> QueueTimeoutError:
        return QueueTimeoutError(
            f"Run {run.id} stayed in the queue for {self.timeout:g} s and was cancelled.",
            next_step="Run the same command again later, or increase timeout in [tool.azureml-image.acr]\n"
            'or use a dedicated agent pool: agent-pool = "…" in [tool.azureml-image.acr]',
        )


@dataclass(kw_only=True)
class LogReader:
    """Reads a run's log as it grows.

    Args:
        get_url: returns the log's URL with a new signature; "" if there is no log yet.
        on_line: called for each line.
        offset: bytes that have been read.
        complete: whether the whole log has been read and it will not grow.
        fault: why the last read failed; "" if it did not.
    """

    get_url: Callable[[], str]
    on_line: Callable[[str], None]
    offset: int = 0
    complete: bool = False
    fault: str = ""
    _url: str = ""
    _partial_line: bytes = field(default=b"", repr=False)

    def read_new(self) -> None:
        """Read what was added; an error is only noted in `fault`, because the run continues without a reader."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        self.fault = ""
        try:
            self._url = self._url or self.get_url()
            if self._url:
                self._read()
        except ResourceNotFoundError:
            pass  # The agent has not written anything yet.
        except (AzureError, AzuremlTasksError) as error:
            self._url = ""  # Its signature may have expired.
            self.fault = first_line(error)

    def _read(self) -> None:
        from azure.storage.blob import BlobClient

        options: dict[str, Any] = {**BLOB_OPTIONS, "retry_total": 1}  # The caller tries again anyway.
        with BlobClient.from_blob_url(self._url, **options) as blob:
            properties = blob.get_blob_properties()
            complete = any(name.lower() == _COMPLETE for name in properties.metadata or {})
            while self.offset < properties.size:
                length = min(_BLOCK, properties.size - self.offset)
                block = blob.download_blob(offset=self.offset, length=length).readall()
                self.offset += len(block)
                self._split(block)
        if complete:
            self._split(b"\n" if self._partial_line else b"")
            self.complete = True

    def _split(self, block: bytes) -> None:
        *lines, self._partial_line = (self._partial_line + block).split(b"\n")
        if len(self._partial_line) > _LONGEST_LINE:
            lines, self._partial_line = [*lines, self._partial_line], b""
        for line in lines:
            self.on_line(line[:_LONGEST_LINE].decode(errors="replace").rstrip("\r"))
