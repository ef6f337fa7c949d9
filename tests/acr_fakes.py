"""Fakes of a registry's tasks, of a run's log in Azure Storage, and of a clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient

from azureml_tasks.engines.acr.tasks_api import Run, TasksApi

__all__ = ["COMPLETE", "URL", "FakeClock", "FakeTasks", "fake_log"]

COMPLETE: Mapping[str, str] = {"Complete": "succeeded"}
URL = "https://storage.example/logs/ca8"


@dataclass(kw_only=True)
class FakeClock:
    """A clock that advances when someone sleeps.

    Args:
        now: seconds.
        pauses: each sleep so far.
    """

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance."""
        self.pauses.append(seconds)
        self.now += seconds


class FakeTasks:
    """A registry's tasks that give these states of a run in order, and then repeat the last one.

    An exception among the answers is raised. `calls` lists the calls.
    """

    def __init__(
        self, *answers: Run | BaseException, cancel: Exception | None = None, url: str = URL
    ) -> None:
        self.answers: list[Run | BaseException] = list(answers)
        self.refuses = cancel
        self.url = url
        self.calls: list[str] = []

    def as_tasks(self) -> TasksApi:
        """Return itself with the type that it fakes."""
        return cast("TasksApi", self)

    def get(self, run: str) -> Run:
        """Return the next state."""
        self.calls.append(f"get {run}")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cancel(self, run: str) -> None:
        """Cancel the run."""
        self.calls.append(f"cancel {run}")
        if self.refuses:
            raise self.refuses

    def log_url(self, run: str) -> str:
        """Return the URL of the log."""
        self.calls.append(f"log_url {run}")
        return self.url


@dataclass(kw_only=True)
class Blob:
    """An append blob as it is now."""

    content: bytes
    metadata: Mapping[str, str]

    def get_blob_properties(self) -> SimpleNamespace:
        """Return size and metadata."""
        return SimpleNamespace(size=len(self.content), metadata=self.metadata)

    def download_blob(self, *, offset: int, length: int) -> SimpleNamespace:
        """Return a part of the content."""
        return SimpleNamespace(readall=lambda: self.content[offset : offset + length])


State = bytes | Exception
"""The content of a log, or the error of Azure Storage."""


def fake_log(monkeypatch: pytest.MonkeyPatch, *states: State, end: Mapping[str, str] = COMPLETE) -> list[str]:
    """Let Azure Storage contain a log: each read finds the next of *states*, the last one with *end* as metadata.

    Returns: the URLs that are opened, as a list that grows.
    """
    opened: list[str] = []
    reads = _reads(states, end)

    def open_blob(url: str, **_: Any) -> AbstractContextManager[Blob]:
        opened.append(url)
        state = next(reads)
        if isinstance(state, Exception):
            raise state
        return nullcontext(state)

    monkeypatch.setattr(BlobClient, "from_blob_url", open_blob)
    return opened


def _reads(states: Sequence[State], end: Mapping[str, str]) -> Iterator[Blob | Exception]:
    *before, last = states or (ResourceNotFoundError("BlobNotFound"),)
    for state in before:
        yield state if isinstance(state, Exception) else Blob(content=state, metadata={})
    while True:
        yield last if isinstance(last, Exception) else Blob(content=last, metadata=end)
