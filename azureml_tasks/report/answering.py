"""The second part of the page: how an image starts and answers, by the smoke test that it passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.report.texts import short
from azureml_tasks.sizes import duration_text, memory_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.report.facts import ImageFacts

_WIDTH = 1000.0
"""Of a picture, in its own units; the page stretches it."""
_MOST = 200
"""Requests, checks and parts of the timeline that are shown."""
_MOST_TIMES = 1000
_MEANINGS = {
    "connection refused": "no port is open yet",
    "connection closed without an answer": "the port is open, no server behind it",
    "502 Bad Gateway": "the proxy waits for the server",
    "503 Service Unavailable": "the server is not ready",
}
"""What a try before the server is ready means, for people."""


class Part(NamedTuple):
    """A part of the timeline: what it is, from when to when for people, where it begins and how wide it is."""

    label: str
    time: str
    x: float
    width: float
    style: str


class Distribution(NamedTuple):
    """The times of one request: texts for the table, and where each time is in the picture."""

    name: str
    status: str
    first: str
    p50: str
    p95: str
    longest: str
    repeats: str
    same: bool
    ticks: tuple[float, ...]
    middle: float


class CheckRow(NamedTuple):
    """A check of the smoke test that passed, with what it has shown."""

    name: str
    time: str
    details: str


@dataclass(frozen=True, kw_only=True)
class Answering:
    """How an image starts and answers.

    Args:
        ready: seconds until it was ready, for people; "" if that was not measured.
        timeline: the parts of its start; empty if they were not recorded.
        stopped: how long it took to stop, for people; "" if that was not measured.
        requests: their latencies.
        scale: the longest time of all requests, for people.
        peak_memory: for people; "" if it was not measured.
        memory_limit: for people; "" for none.
        memory_share: of the limit that was used, 0 to 1; None without limit or measurement.
        checks: that passed.
        place: where the requests were sent from.
    """

    ready: str
    timeline: tuple[Part, ...]
    stopped: str
    requests: tuple[Distribution, ...]
    scale: str
    peak_memory: str
    memory_limit: str
    memory_share: float | None
    checks: tuple[CheckRow, ...]
    place: str


def answering(facts: ImageFacts) -> Answering | None:
    """Return how the image starts and answers; None if no smoke test of it is recorded."""
    smoke = facts.smoke
    if not smoke:
        return None
    latencies = smoke.get("latencies", [])[:_MOST]
    longest = max((max(_times(each), default=each["p95"]) for each in latencies), default=0.0)
    started, stopped, peak = (smoke.get(name) for name in ("started", "stopped", "peak_memory"))
    limit = facts.memory_limit
    return Answering(
        ready=duration_text(started) if started is not None else "",
        timeline=_timeline(smoke.get("waits", []), started) if started else (),
        stopped=duration_text(stopped) if stopped is not None else "",
        requests=tuple(_distribution(each, longest) for each in latencies),
        scale=duration_text(longest) if longest else "",
        peak_memory=memory_text(peak) if peak is not None else "",
        memory_limit=memory_text(limit) if limit else "",
        memory_share=min(1.0, peak / limit) if limit and peak is not None else None,
        checks=tuple(map(_check_row, smoke.get("checks", [])[:_MOST])),
        place=short(str(smoke.get("place", ""))),
    )


def _timeline(waits: Sequence[Mapping[str, Any]], started: float) -> tuple[Part, ...]:
    """Return the parts of the start: each reason for waiting lasts until the next one is seen."""
    starts = [0.0, *(wait["seconds"] for wait in waits[1:])]
    ends = [*starts[1:], started]
    parts = []
    for index, (wait, start, end) in enumerate(zip(waits, starts, ends, strict=False)):
        reason = short(wait["reason"], 80)
        meaning = _MEANINGS.get(reason, "")
        parts.append(
            Part(
                label=f"{meaning} ({reason})" if meaning else reason,
                time=f"{duration_text(start) if start else '0'} to {duration_text(end)}",
                x=round(_WIDTH * min(start / started, 1.0), 2),
                width=round(_WIDTH * max(0.0, min((end - start) / started, 1.0)), 2),
                style=f"wait-{index % 3}",
            )
        )
    return tuple(parts)


def _times(latency: Mapping[str, Any]) -> list[float]:
    return [float(each) for each in latency.get("times", [])[:_MOST_TIMES]]


def _distribution(latency: Mapping[str, Any], longest: float) -> Distribution:
    times = _times(latency)

    def place(seconds: float) -> float:
        return round(_WIDTH * seconds / longest, 1) if longest else 0.0

    return Distribution(
        name=short(latency["name"], 100),
        status=f"{latency['status']:.0f}",
        first=duration_text(times[0]) if times else "",
        p50=duration_text(latency["p50"]),
        p95=duration_text(latency["p95"]),
        longest=duration_text(max(times)) if times else "",
        repeats=f"{latency['repeats']:.0f}",
        same=latency.get("same") is not False,
        ticks=tuple(map(place, times)),
        middle=place(latency["p50"]),
    )


def _check_row(check: Mapping[str, Any]) -> CheckRow:
    details = check.get("details")
    lines = [each for each in details if isinstance(each, str)] if isinstance(details, list) else []
    return CheckRow(
        name=short(check["name"], 100),
        time=duration_text(check["seconds"]) if check["seconds"] else "",
        details=short("; ".join(lines)),
    )
