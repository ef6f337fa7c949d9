"""Runs, and the queue in which a test may hold them."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.machine.acr.azure_state import Registry
from tests.machine.acr.log import Log

__all__ = ["ENDED", "Run", "Runs", "Script"]

ENDED = frozenset({"Succeeded", "Failed", "Canceled", "Error", "Timeout"})


@dataclass(kw_only=True)
class Script:
    """The scripted course of a run.

    Args:
        status: it ends with this, and nothing is built.
        output_images: what it then says it has pushed.
        error: what it then says was wrong.
        log: what its log then holds.
        queued: it stays in the queue until `release()`, or until it is cancelled.
        silent: it starts, and does and says nothing until `release()` or a cancel.
    """

    status: str | None = None
    output_images: Sequence[Mapping[str, str]] = ()
    error: str | None = None
    log: str = ""
    queued: bool = False
    silent: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Release the run, now or when it waits."""
        self._released.set()

    def wait(self) -> None:
        """Wait until released; `reached` is set."""
        self.reached.set()
        self._released.wait()


@dataclass(kw_only=True)
class Run:
    """A run.

    Args:
        id: such as `ca1`.
        registry: where it was scheduled.
        request: the body of `scheduleRun`, as received.
        log: its log.
        script: how a test wants it to go.
        history: every status that it has had; the last one is the status.
        output_images: what it has pushed.
        error: why it failed, for those who ask.
        archive: the uploaded archive, once the agent has read it.
        times: `create`, `start`, `finish` and `lastUpdated`.
        cancelled: set when it is to end.
        done: set when it has ended, with its log.
    """

    id: str
    registry: Registry
    request: Mapping[str, Any]
    log: Log
    script: Script
    history: list[str] = field(default_factory=list)
    output_images: list[Mapping[str, str]] = field(default_factory=list)
    error: str | None = None
    archive: bytes | None = field(default=None, repr=False)
    times: dict[str, str] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    on_cancel: Callable[[], None] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def status(self) -> str:
        """The current status."""
        return self.history[-1]

    @property
    def text(self) -> str:
        """The log so far, with plain line ends."""
        return self.log.text.replace("\r\n", "\n")

    def become(self, status: str) -> None:
        """Set the status; a final one stays."""
        with self._lock:
            if self.history and self.status in ENDED:
                return
            self.history.append(status)
            now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
            self.times["lastUpdated"] = now
            moment = {"Queued": "create", "Started": "start"}.get(status)
            if moment or status in ENDED:
                self.times[moment or "finish"] = now

    def cancel(self) -> None:
        """Cancel it and kill what it has started."""
        self.cancelled.set()
        self.script.release()
        with self._lock:
            kill = self.on_cancel
        if kill:
            kill()

    def when_cancelled(self, kill: Callable[[], None] | None) -> None:
        """Set what a cancel has to kill; kill it at once if the run is already cancelled."""
        with self._lock:
            self.on_cancel = kill
            late = kill is not None and self.cancelled.is_set()
        if late and kill:
            kill()

    def resource(self) -> dict[str, Any]:
        """Return it as an Azure resource."""
        platform = {"os": "linux", "architecture": "amd64", **_without_none(self.request.get("platform"))}
        properties = {
            "runId": self.id,
            "status": self.status,
            "lastUpdatedTime": self.times.get("lastUpdated"),
            "runType": "QuickBuild" if self.request["type"] == "DockerBuildRequest" else "QuickRun",
            "createTime": self.times.get("create"),
            "startTime": self.times.get("start"),
            "finishTime": self.times.get("finish"),
            "outputImages": list(self.output_images) or None,
            "platform": platform,
            "agentConfiguration": {"cpu": 2},
            "provisioningState": {"Succeeded": "Succeeded", "Canceled": "Canceled"}.get(
                self.status, "Failed" if self.status in ENDED else "Running"
            ),
            "runErrorMessage": self.error,
            "isArchiveEnabled": False,
        }
        return {
            "id": f"{self.registry.id}/runs/{self.id}",
            "name": self.id,
            "type": "Microsoft.ContainerRegistry/registries/runs",
            "properties": {name: value for name, value in properties.items() if value is not None},
        }


class Runs(Sequence[Run]):
    """All runs, in order; each executes in its own thread.

    Args:
        begin: carries a run out, in its thread.
        new_log: makes the log of a run.
    """

    def __init__(self, begin: Callable[[Run], None], new_log: Callable[[str], Log]) -> None:
        self._begin, self._new_log = begin, new_log
        self._all: list[Run] = []
        self._scripts: list[Script] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: Any) -> Any:
        return self._all[index]

    def script(self, script: Script) -> Script:
        """Script the next run."""
        self._scripts.append(script)
        return script

    def schedule(self, registry: Registry, request: Mapping[str, Any]) -> dict[str, Any]:
        """Queue a run and return it as queued, even if an agent has already taken it."""
        with self._lock:
            name = f"ca{len(self._all) + 1}"
            script = self._scripts.pop(0) if self._scripts else Script()
            run = Run(id=name, registry=registry, request=request, log=self._new_log(name), script=script)
            run.become("Queued")
            self._all.append(run)
            thread = threading.Thread(target=self._begin, args=(run,), name=f"run {name}", daemon=True)
            self._threads.append(thread)
            queued = run.resource()
            thread.start()  # `end` waits for threads that have started.
        return queued

    def find(self, name: str) -> Run | None:
        """Return the run with this ID."""
        return next((run for run in self._all if run.id == name), None)

    def end(self) -> None:
        """Cancel all runs, wait for their end, and drop unused scripts."""
        self._scripts.clear()
        with self._lock:
            runs, threads = list(self._all), list(self._threads)
        for run in runs:
            if not run.done.is_set():
                run.cancel()
        for thread in threads:
            thread.join()


def _without_none(value: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: member for name, member in (value or {}).items() if member is not None}
