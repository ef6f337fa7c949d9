"""A run from its place in the queue to its end: its log live, its verdict from its status alone."""

from __future__ import annotations

import re
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.acr.http import first_line
from azureml_tasks.engines.acr.upload import BLOB
from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.errors import AzuremlTasksError, RemoteBuildError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.engines.acr.cloud_smoke_test import Collector
    from azureml_tasks.engines.acr.tasks_api import Run, Tasks
    from azureml_tasks.reporter import Reporter

__all__ = ["Followed", "Follower", "Log", "StuckError"]

_PAUSES = (1.0, 1.0, 2.0, 3.0, 5.0)
"""Seconds between two looks where nothing was new; the last one goes on."""
_LAST_LINES = 60.0
"""Seconds that the end of a log gets to come after the end of its run."""
_CANCELLED = 120.0
"""Seconds that a run gets to end after it was asked to."""
_PATIENCE = 300.0
"""Seconds that Azure may leave us without an answer while a run goes on."""
_TAIL = 40
_OF_THE_AGENT = re.compile(r"\d{4}/\d\d/\d\d |failed to run step ID: |Run ID: ")
"""What the agent itself prints, between what the steps do."""
_BUILT = re.compile(
    r"Successfully (built [0-9a-f]{12}|tagged \S+)|#\d+ naming to |\d{4}/\d\d/\d\d [\d:]+ Pushing image: "
)
"""What the agent and its builders print once the image is built; pip, too, says "Successfully built" of wheels."""


class StuckError(RemoteBuildError):
    """A run stayed in the queue too long, and was cancelled."""


@dataclass(kw_only=True)
class Followed:
    """What was seen of a run.

    Args:
        steps: what its builder printed, taken apart.
        tail: the last lines of its log.
        built: whether every step of the Dockerfile was done.
        complete: whether the log was read to its end.
    """

    steps: BuildLog = field(default_factory=BuildLog)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    built: bool = False
    complete: bool = False


@dataclass(kw_only=True)
class Follower:
    """Follows the runs of a registry.

    Args:
        tasks: of the registry.
        reporter: shows the log.
        timeout: seconds that a run may stay in the queue.
        buildkit: whether its builder is BuildKit, which prints steps in turns.
        clock: seconds, from any start.
        sleep: waits for so many seconds.
    """

    tasks: Tasks
    reporter: Reporter
    timeout: float
    buildkit: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self, run: Run, collector: Collector) -> tuple[Run, Followed]:
        """Show the log of *run* until both have ended.

        Raises:
            StuckError: it stayed in the queue too long, and was cancelled.
            HandOffError: Azure does not answer any more.
        """
        seen = Followed()
        log = Log(
            address=lambda: self.tasks.log_url(run.id), line=lambda line: self._line(line, seen, collector)
        )
        now = self._to_its_end(run, log)
        self._to_the_last_line(now, log)
        seen.complete = log.complete
        return now, seen

    def cancel(self, run: Run) -> Run:
        """Ask for the end of *run* and wait for it; the run as it ended, or as it was last seen."""
        self.reporter.say(f"cancelling run {run.id}")
        with suppress(AzuremlTasksError):  # It may have ended by itself meanwhile; its status tells.
            self.tasks.cancel(run.id)
        began, now = self.clock(), run
        while not now.ended and self.clock() - began < _CANCELLED:
            try:
                now = self.tasks.get(run.id)
            except AzuremlTasksError as error:
                self.reporter.say(error.what)
            if not now.ended:
                self.sleep(_PAUSES[0])
        what = (
            f"run {run.id} ended as {now.status}"
            if now.ended
            else f"run {run.id} was asked to end, and has not yet"
        )
        self.reporter.say(what)
        return now

    def _to_its_end(self, run: Run, log: Log) -> Run:
        began = answered = self.clock()
        quiet, now, said = 0, run, ""
        while not now.ended:
            before = (now.status, log.at)
            now, answered = self._asked(now, answered)
            if now.status == "Queued" and self.clock() - began > self.timeout:
                self.cancel(run)
                raise self._stuck(run)
            log.read_on()
            said = self._fault(log, said)
            quiet = 0 if (now.status, log.at) != before else min(quiet + 1, len(_PAUSES) - 1)
            if not now.ended:
                self.sleep(_PAUSES[quiet])
        return now

    def _asked(self, run: Run, answered: float) -> tuple[Run, float]:
        """The run as it is now, and when Azure said so; as it was, where Azure gives no answer for a while."""
        try:
            return self.tasks.get(run.id), self.clock()
        except AzuremlTasksError as error:
            if isinstance(error, RemoteBuildError) and self.clock() - answered < _PATIENCE:
                self.reporter.say(f"{error.what} The run goes on, and is asked for again.")
                return run, answered
            again = f"invoke image.attach {run.id} --engine acr"
            error.state = f"Run {run.id} goes on in ACR. Take it up again with: {again}"
            raise

    def _fault(self, log: Log, said: str) -> str:
        """Say once why the log cannot be read just now; nothing is lost, since it is read on from where it was."""
        if log.fault and log.fault != said:
            self.reporter.say(f"the log cannot be read just now, and is asked for again: {log.fault}")
        return log.fault or said

    def _to_the_last_line(self, run: Run, log: Log) -> None:
        began = self.clock()
        while not log.complete and self.clock() - began < _LAST_LINES:
            log.read_on()
            if not log.complete:
                self.sleep(_PAUSES[0])
        if not log.complete:
            self.reporter.warn(
                f"the log of run {run.id} could not be read to its end; its status is what counts"
            )

    def _line(self, line: str, seen: Followed, collector: Collector) -> None:
        if collector.takes(line):
            return
        self.reporter.say(line)
        seen.tail.append(line)
        seen.built |= _BUILT.match(line) is not None
        if not _OF_THE_AGENT.match(line):
            (seen.steps.buildkit if self.buildkit else seen.steps.legacy)(line)

    def _stuck(self, run: Run) -> StuckError:
        fix = (
            "Run the same command again later, or give it longer: timeout = 7200 in [tool.azureml-image.acr]\n"
            'or name a pool of your own: agent-pool = "…"'
        )
        what = f"Run {run.id} stayed in the queue for {self.timeout:g} s and was cancelled."
        return StuckError(what, next_step=fix)


_COMPLETE = "complete"
"""The blob's metadata gets this key when nothing more will come (azure-cli, acr/_stream_utils.py)."""


@dataclass(kw_only=True)
class Log:
    """A run's log.

    Args:
        address: gives an address with a fresh signature; "" where there is no log yet.
        line: takes each line as it comes.
        at: bytes that have been read.
        complete: whether its last byte has been read, and nothing more will come.
        fault: why it could not be read the last time; "" where it could.
    """

    address: Callable[[], str]
    line: Callable[[str], None]
    at: int = 0
    complete: bool = False
    fault: str = ""
    _url: str = ""
    _left: bytes = field(default=b"", repr=False)

    def read_on(self) -> None:
        """Hand on what has come since; a fault is noted and no more, since the run goes on without us."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        self.fault = ""
        try:
            self._url = self._url or self.address()
            if self._url:
                self._read()
        except ResourceNotFoundError:
            pass  # Nothing has been written yet.
        except (AzureError, AzuremlTasksError) as error:
            self._url = ""  # Its signature may have expired; the next try asks for another.
            self.fault = first_line(error)

    def _read(self) -> None:
        from azure.storage.blob import BlobClient

        options: dict[str, Any] = {**BLOB, "retry_total": 1}  # It is looked at again anyway.
        with BlobClient.from_blob_url(self._url, **options) as blob:
            about = blob.get_blob_properties()
            ended = any(name.lower() == _COMPLETE for name in about.metadata or {})
            while self.at < about.size:
                block = blob.download_blob(offset=self.at, length=about.size - self.at).readall()
                self.at += len(block)
                self._hand_on(block)
        if ended:
            self._hand_on(b"\n" if self._left else b"")
            self.complete = True

    def _hand_on(self, block: bytes) -> None:
        *whole, self._left = (self._left + block).split(b"\n")
        for line in whole:
            self.line(clean(line.decode(errors="replace").rstrip("\r")))
