"""Faults that a test injects into the endpoints."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CutAnswer", "CutRequest", "Fault", "Faults", "Garble", "Hold", "Reply"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Answer with this.

    Args:
        status: HTTP status.
        json: the body, as JSON; nothing for an empty one.
        body: the body, as it is, where it is no JSON.
        headers: further headers.
    """

    status: int
    json: Any = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CutAnswer:
    """Break the connection after *after* bytes of the answer's body."""

    after: int = 0


@dataclass(frozen=True)
class CutRequest:
    """Break the connection after *after* bytes of the request's body, without passing anything on."""

    after: int = 0


@dataclass(frozen=True)
class Garble:
    """Corrupt one bit of the request's body."""

    @staticmethod
    def garbled(blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the blocks with one bit changed."""
        first = next(blocks, b"")
        if first:
            yield bytes([first[0] ^ 1]) + first[1:]
        yield from blocks


@dataclass
class Hold:
    """Hold a request until `release()`; `reached` is set when it waits."""

    reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until released."""
        self.reached.set()
        self._released.wait()

    def release(self) -> None:
        """Release the request, now or when it comes."""
        self._released.set()


Effect = Reply | CutAnswer | CutRequest | Garble | Hold
Where = str | Callable[[str, str], bool]


@dataclass
class Fault:
    """An injected fault; `hits` counts the requests that it affected."""

    where: Where
    effect: Effect
    times: int | None
    hits: int = 0

    def strikes(self, endpoint: str, line: str) -> bool:
        """Return whether it affects this request."""
        if self.times is not None and self.hits >= self.times:
            return False
        return (
            bool(re.search(self.where, line)) if isinstance(self.where, str) else self.where(endpoint, line)
        )


class Faults:
    """The active faults; the first that matches a request affects it."""

    def __init__(self) -> None:
        self._all: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, where: Where, effect: Effect, *, times: int | None = 1) -> Fault:
        """Inject a fault.

        Args:
            where: a regular expression on `METHOD /path?query`, or a function of the endpoint's name (`arm`,
                `aad`, `identity`, `registry`, `storage`) and that line.
            effect: what happens.
            times: for how many requests; None is for all.
        """
        fault = Fault(where, effect, times)
        with self._lock:
            self._all.append(fault)
        return fault

    def take(self, endpoint: str, line: str) -> Effect | None:
        """Return the fault of this request, and count it."""
        with self._lock:
            for fault in self._all:
                if fault.strikes(endpoint, line):
                    fault.hits += 1
                    return fault.effect
        return None

    def clear(self) -> None:
        """Remove all faults, and release held requests."""
        with self._lock:
            for fault in self._all:
                if isinstance(fault.effect, Hold):
                    fault.effect.release()
            self._all.clear()
