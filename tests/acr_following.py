"""Runs that are played: what Azure says of them, what their log holds, and a clock that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient

from azureml_tasks.engines.acr.tasks_api import Run, Tasks

__all__ = ["ADDRESS", "COMPLETE", "Clock", "PlayedTasks", "the_log"]

COMPLETE: Mapping[str, str] = {"Complete": "succeeded"}
ADDRESS = "https://storage.example/logs/ca8"


@dataclass(kw_only=True)
class Clock:
    """Seconds that pass where somebody sleeps.

    Args:
        now: seconds.
        pauses: each sleep so far.
    """

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """The seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        self.pauses.append(seconds)
        self.now += seconds


class PlayedTasks:
    """A registry's tasks, which say of a run what they are told to, in order, and the last of it for ever.

    An exception among the answers is raised. `asked` holds what was asked for.
    """

    def __init__(
        self, *answers: Run | BaseException, cancel: Exception | None = None, address: str = ADDRESS
    ) -> None:
        self.answers: list[Run | BaseException] = list(answers)
        self.refuses = cancel
        self.address = address
        self.asked: list[str] = []

    def as_tasks(self) -> Tasks:
        """Itself, as what it plays."""
        return cast("Tasks", self)

    def get(self, run: str) -> Run:
        """The next answer."""
        self.asked.append(f"get {run}")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cancel(self, run: str) -> None:
        """Ask for the end."""
        self.asked.append(f"cancel {run}")
        if self.refuses:
            raise self.refuses

    def log_url(self, run: str) -> str:
        """Where the log is."""
        self.asked.append(f"log of {run}")
        return self.address


@dataclass(kw_only=True)
class Blob:
    """An append blob as it is now."""

    content: bytes
    metadata: Mapping[str, str]

    def get_blob_properties(self) -> SimpleNamespace:
        """Size and metadata."""
        return SimpleNamespace(size=len(self.content), metadata=self.metadata)

    def download_blob(self, *, offset: int, length: int) -> SimpleNamespace:
        """A part of it."""
        return SimpleNamespace(readall=lambda: self.content[offset : offset + length])


State = bytes | Exception
"""All that a log holds at a look, or what storage says instead."""


def the_log(monkeypatch: pytest.MonkeyPatch, *states: State, end: Mapping[str, str] = COMPLETE) -> list[str]:
    """Let storage hold a log: each look finds the next of *states*, and the last one with *end* as its metadata.

    Before the first look there is none. The addresses that were opened are returned.
    """
    opened: list[str] = []
    looks = _looks(states, end)

    def open_blob(url: str, **_: Any) -> AbstractContextManager[Blob]:
        opened.append(url)
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return nullcontext(found)

    monkeypatch.setattr(BlobClient, "from_blob_url", open_blob)
    return opened


def _looks(states: Sequence[State], end: Mapping[str, str]) -> Iterator[Blob | Exception]:
    *before, last = states or (ResourceNotFoundError("BlobNotFound"),)
    for state in before:
        yield state if isinstance(state, Exception) else Blob(content=state, metadata={})
    while True:
        yield last if isinstance(last, Exception) else Blob(content=last, metadata=end)
