"""What the prober is asked, and what its events mean."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azureml_tasks.smoke.report import Check, Latency, Report
from azureml_tasks.smoke.request_check import NOT_AGAIN, checked, judged
from azureml_tasks.smoke.response_check import status_line
from azureml_tasks.smoke.tracebacks import last_traceback, user_traceback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
    from azureml_tasks.smoke.response_check import Verdict

    Event = Mapping[str, Any]
    Seen = Mapping[tuple[str, int], Event]
    Sent = tuple[SmokeTestRequest, Event | None, Verdict]

__all__ = ["from_events", "job"]

_TRY_TIMEOUT = 2.0  # seconds; Azure ML's own default for a probe


def job(smoke_test: SmokeTestPlan, base_url: str) -> dict[str, Any]:
    """What the prober does, as a JSON object of the form that its docstring gives.

    Args:
        smoke_test: of the plan.
        base_url: scheme, host and port, without a path.
    """
    requests = [
        {
            "path": request.path,
            "body": base64.b64encode(request.body).decode("ascii"),
            "timeout": request.timeout,
            "status": request.status,
        }
        for request in smoke_test.requests
    ]
    return {
        "base_url": base_url,
        "start_timeout": smoke_test.start_timeout,
        "try_timeout": _TRY_TIMEOUT,
        "repeat": smoke_test.repeat,
        "requests": requests,
    }


def from_events(
    events: Iterable[Event],
    requests: Sequence[SmokeTestRequest],
    *,
    image: str,
    image_id: str,
    place: str,
    look_inside: str,
    log: str = "",
    exited: int | None = None,
    peak_memory: int | None = None,
    warnings: Iterable[str] = (),
) -> Report:
    """Judge what the prober saw.

    Args:
        events: all of one run, in order. A run inside the container ends with it, and so may
            lack its last event.
        requests: those of the job, in its order.
        image: reference.
        image_id: with its algorithm.
        place: from where it was asked.
        look_inside: the command that opens a shell in the image.
        log: the container's, whole.
        exited: the container's exit code; None while it runs.
        peak_memory: bytes; None when it was not measured.
        warnings: what is known besides.
    """
    seen = {(event["event"], event.get("index", 0)): event for event in events}
    answers = [
        seen.get(("answer", index)) or seen.get(("no-answer", index)) for index in range(len(requests))
    ]
    verdicts = [judged(event, request) for event, request in zip(answers, requests, strict=True)]
    sent = list(zip(requests, answers, verdicts, strict=True))
    checks = [_start(seen), _swagger(seen), *(checked(*each) for each in sent), _malformed(seen)]
    report = Report(
        image=image,
        image_id=image_id,
        place=place,
        look_inside=look_inside,
        checks=tuple(_with_end(checks, seen, exited)),
        latencies=tuple(_latencies(sent)),
        started=seen["ready", 0]["seconds"] if ("ready", 0) in seen else None,
        peak_memory=peak_memory,
        warnings=(*warnings, *_oddities(seen, sent)),
        log=log,
        exited=exited,
    )
    return replace(report, traceback=_traceback(report, answers))


def _start(seen: Seen) -> Check:
    if ready := seen.get(("ready", 0)):
        return Check(name="start-up", outcome="passed", seconds=ready["seconds"])
    ends = [event for (name, _), event in seen.items() if name in {"exited", "not-ready", "elsewhere"}]
    seconds = ends[0]["seconds"] if ends else 0.0
    lasts = [event["last"] for event in seen.values() if "last" in event]
    what = "GET / did not answer 200" + (f" within {seconds:.1f} s" if ("not-ready", 0) in seen else "")
    if ("elsewhere", 0) in seen:
        what = "the published port is not on this machine"
    details = (what, *(f"the last try: {last}" for last in lasts[-1:]))
    return Check(name="start-up", outcome="failed", details=details, seconds=seconds)


def _swagger(seen: Seen) -> Check:
    event = seen.get(("swagger", 0))
    if event is None or event["status"] == HTTPStatus.OK:
        return Check(name="swagger.json", outcome="passed" if event else "not made")
    details = (f"GET /swagger.json: wanted status 200, got {_outcome(event)}",)
    return Check(name="swagger.json", outcome="failed", details=details)


def _malformed(seen: Seen) -> Check:
    event = seen.get(("malformed", 0))
    if event is None or event["healthy"]:
        return Check(name="malformed body", outcome="passed" if event else "not made")
    details = ("POST /score with the body {", f"answer: {_outcome(event)}", NOT_AGAIN)
    return Check(name="malformed body", outcome="failed", details=details)


def _outcome(event: Event) -> str:
    return event["error"] if event["status"] is None else status_line(event["status"])


def _with_end(checks: list[Check], seen: Seen, exited: int | None) -> list[Check]:
    """Say which check the container did not survive: the failed one, else the first not made."""
    if not seen.keys().isdisjoint({(name, 0) for name in ("done", "not-ready", "elsewhere")}):
        return checks
    line = "the container ended" + ("" if exited is None else f" with exit code {exited}")
    order = {"failed": 0, "not made": 1, "passed": 2}
    index = min(range(len(checks)), key=lambda index: order[checks[index].outcome])
    last = replace(checks[index], outcome="failed", details=(line, *checks[index].details))
    return [*checks[:index], last, *checks[index + 1 :]]


def _latencies(sent: Iterable[Sent]) -> Iterator[Latency]:
    for request, event, verdict in sent:
        if event is not None and verdict.passed:
            times = sorted(event["seconds"])
            p50, p95 = (times[math.ceil(share * len(times)) - 1] for share in (0.5, 0.95))
            same = "changed" not in event
            yield Latency(
                name=request.name, status=event["status"], p50=p50, p95=p95, repeats=len(times), same=same
            )


def _oddities(seen: Seen, sent: Iterable[Sent]) -> Iterator[str]:
    for request, _, verdict in sent:
        if verdict.passed:
            yield from (f"{request.name}: {note}" for note in verdict.notes)
    malformed = seen.get(("malformed", 0), {"healthy": False})
    if malformed["healthy"] and malformed["status"] is None:
        yield f"malformed body: {malformed['error']}; the server came back"


def _traceback(report: Report, answers: Iterable[Event | None]) -> str:
    """Of a failure that an exception explains; a wrong answer or a slow one has none."""
    ended = report.exited is not None or report.started is None
    raised = [event for event in answers if event and event.get("status") == HTTPStatus.INTERNAL_SERVER_ERROR]
    if report.passed or not (ended or raised):
        return ""
    if not ended and any(event["headers"].get("x-ms-run-function-failed") == "False" for event in raised):
        return last_traceback(report.log)
    return user_traceback(report.log) or last_traceback(report.log)
