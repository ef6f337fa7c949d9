"""Faults of a registry at each step of a push."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.machine.acr.faults import CutAnswer, CutRequest, Effect, Garble, Reply
from tests.machine.faults.checkout import Checkout, new_checkout
from tests.machine.faults.judge import Fault, Judge
from tests.machine.faults.place import Place
from tests.machine.faults.truth import on_engine

__all__ = ["KIND", "Pushes"]

KIND = "registry, at a step of a push"
_WORDS = ("image.push", "--untested")
_FAULTS: Mapping[str, Effect] = {
    "500": Reply(status=500, body=b"<html>oops</html>"),
    "503": Reply(status=503, json={"errors": [{"code": "UNAVAILABLE", "message": "later"}]}),
    "429": Reply(
        status=429,
        json={"errors": [{"code": "TOOMANYREQUESTS", "message": "slow"}]},
        headers={"Retry-After": "1"},
    ),
    "401": Reply(
        status=401,
        json={"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]},
        headers={"WWW-Authenticate": 'Basic realm="faults"'},
    ),
    "403": Reply(status=403, json={"errors": [{"code": "DENIED", "message": "not for you"}]}),
    "404": Reply(status=404, json={"errors": [{"code": "NAME_UNKNOWN", "message": "none"}]}),
    "200 that is no answer": Reply(
        status=200, body=b"<html>proxy</html>", headers={"Content-Type": "text/html"}
    ),
    "connection cut before": CutRequest(0),
    "connection cut after": CutAnswer(0),
    "corrupted body": Garble(),
}


_CAUSES = {"401": "(401)", "403": "(403)"}
"""What a message has that blames the sign-in, or the permission."""


class _Pair(NamedTuple):
    """A step of a push, and what fails there.

    Args:
        step: as `_step` names it.
        number: which of the requests of this step, from 0.
        fault: one of `_FAULTS`.
        persists: whether everything after it fails too.
    """

    step: str
    number: int
    fault: str
    persists: bool

    def __str__(self) -> str:
        return f"{self.fault}{' from there on' if self.persists else ''} at {self.step}, number {self.number + 1}"


@dataclass
class Pushes:
    """Goes through every pair of a step and a fault, in a random order, with one image that is pushed again and again.

    Args:
        place: with the registry.
    """

    place: Place
    _pairs: Iterator[_Pair] = field(default_factory=lambda: iter(()))
    _checkout: Checkout | None = None
    _usual: set[str] = field(default_factory=set)

    def inject(self) -> Fault | None:
        """Inject the next fault; None if the push did not come to its step."""
        checkout = self._checkout = self._checkout or self._built()
        pair = next(self._pairs, None)
        if not pair:
            self._pairs = self._all(checkout)
            pair = next(self._pairs)
        self._forget_push(checkout)
        judge = Judge.of(self.place, checkout)
        counter = itertools.count()

        def strikes(_endpoint: str, line: str) -> bool:
            return _step(line) == pair.step and next(counter) >= pair.number

        fault = self.place.proxy.faults.add(strikes, _FAULTS[pair.fault], times=None if pair.persists else 1)
        ended = checkout.run(*_WORDS)
        self.place.proxy.faults.clear()
        wrong = judge.wrong(ended, {0, 6})
        named = [cause for cause in _CAUSES.values() if cause in ended.err]
        if ended.code and named and named != [_CAUSES.get(pair.fault)]:
            wrong.append(f"the cause is said to be {' and '.join(named)}")
        if ended.code:
            wrong += judge.continued(ended)
        left = sorted(on_engine(self.place) - self._usual)
        history = "\n".join(map(str, checkout.history))
        checkout.history.clear()
        return (
            Fault(kind=KIND, description=str(pair), wrong=wrong, left=left, history=history)
            if fault.hits
            else None
        )

    def end(self) -> list[Fault]:
        """Clean up, as a user does; return a fault if something is left."""
        if not self._checkout:
            return []
        ended = self._checkout.run("image.clean")
        wrong = [f"image.clean ended with {ended.code}"] if ended.code else []
        left = [thing for thing in sorted(on_engine(self.place)) if self._checkout.name in thing]
        fault = Fault(kind=KIND, description="after all pushes", wrong=wrong, left=left, history=str(ended))
        return [fault] if wrong or left else []

    def _built(self) -> Checkout:
        checkout = new_checkout(self.place)
        ended = checkout.run("image.build")
        if ended.code:
            raise AssertionError(str(ended))
        return checkout

    def _all(self, checkout: Checkout) -> Iterator[_Pair]:
        """Return every pair, from the requests of an undisturbed push."""
        self._forget_push(checkout)
        self.place.proxy.requests()
        judge = Judge.of(self.place, checkout)
        ended = checkout.run(*_WORDS)
        counts: dict[str, int] = {}
        for line in self.place.proxy.requests():
            counts[_step(line)] = counts.get(_step(line), 0) + 1
        if ended.code or judge.wrong_success(ended):
            raise AssertionError(f"{ended}\n{judge.wrong_success(ended)}")
        self._usual = on_engine(self.place)
        pairs = [
            _Pair(step, number, name, persists)
            for step, count in counts.items()
            for number in {0, count - 1}
            for name in _FAULTS
            for persists in (False, True)
        ]
        self.place.random.shuffle(pairs)
        return iter(pairs)

    def _forget_push(self, checkout: Checkout) -> None:
        """Make the registry forget what was pushed, and the project too."""
        for folder in self.place.registry_disk.glob(
            f"*/storage/docker/registry/v2/repositories/{checkout.name}"
        ):
            shutil.rmtree(folder)
        (checkout.records / "result.json").unlink(missing_ok=True)


def _step(line: str) -> str:
    """Return the step that a request is, such as "PUT manifests/latest"."""
    method, _, path = line.partition(" ")
    path = path.partition("?")[0]
    match = re.search(r"/(manifests/[^/]+|blobs/uploads|blobs|tags/list)", path)
    where = match[1] if match else path
    named = re.sub("manifests/(sha256:|kept-).*", r"manifests/\1…", where)
    return f"{method} {named}"
