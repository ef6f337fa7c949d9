"""Faults of a registry at each step of a push."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.machine.acr.faults import CutAnswer, CutRequest, Garble, Reply, What
from tests.machine.faults.checkout import checkout
from tests.machine.faults.judge import Fault, Judge
from tests.machine.faults.place import Place
from tests.machine.faults.trial import after, prepared
from tests.machine.faults.truth import on_engine

__all__ = ["KIND", "Pushes"]

KIND = "registry, at a step of a push"
_JSON = {"Content-Type": "application/json"}
_FAULTS: Mapping[str, What] = {
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
"""What the message must name if a fault persists at a step of the engine's own push."""


@dataclass
class Pushes:
    """Goes through every pair of a step and a fault, in a random order.

    Args:
        place: with the registry.
    """

    place: Place
    _pairs: Iterator[tuple[str, int, str, bool]] = field(default_factory=lambda: iter(()))

    def inject(self) -> Fault | None:
        """Inject the next fault; None if the push did not come to its step."""
        try:
            step, number, name, persists = next(self._pairs)
        except StopIteration:
            self._pairs = self._all()
            step, number, name, persists = next(self._pairs)
        place = self.place
        before, there = on_engine(place), checkout(place)
        prepared(there, "image.push")
        judge = Judge.of(place, there)
        seen = itertools.count()

        def strikes(_endpoint: str, line: str) -> bool:
            return _step(line) == step and next(seen) >= number

        fault = place.proxy.faults.add(strikes, _FAULTS[name], times=None if persists else 1)
        ended = there.run("image.push")
        place.proxy.faults.clear()
        wrong = judge.wrong(ended, {0, 6})
        if ended.code:
            wrong += judge.continued(ended)
        what = f"{name}{' from there on' if persists else ''} at {step}, number {number + 1}"
        found = after(place, judge, ["image.push"], before, KIND, what, wrong)
        return found if fault.hits else None

    def _all(self) -> Iterator[tuple[str, int, str, bool]]:
        """Return every pair, from the requests of an undisturbed push."""
        place, there = self.place, checkout(self.place)
        before = on_engine(place)
        prepared(there, "image.push")
        place.proxy.requests()
        judge = Judge.of(place, there)
        ended = there.run("image.push")
        counts: dict[str, int] = {}
        for line in place.proxy.requests():
            counts[_step(line)] = counts.get(_step(line), 0) + 1
        if ended.code or judge.wrong_success(ended):
            raise AssertionError(f"{ended}\n{judge.wrong_success(ended)}")
        after(place, judge, ["image.push"], before, KIND, "", [])
        pairs = [
            (step, number, name, persists)
            for step, count in counts.items()
            for number in {0, count - 1}
            for name in _FAULTS
            for persists in (False, True)
        ]
        place.random.shuffle(pairs)
        return iter(pairs)


def _step(line: str) -> str:
    """Return the step that a request is, such as "PUT manifests/latest"."""
    method, _, path = line.partition(" ")
    path = path.partition("?")[0]
    match = re.search(r"/(manifests/[^/]+|blobs/uploads|blobs|tags/list)", path)
    where = match[1] if match else path
    named = re.sub("manifests/(sha256:|kept-).*", r"manifests/\1…", where)
    return f"{method} {named}"
