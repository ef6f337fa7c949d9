"""Configure the probe, and turn its events into a report."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from azureml_tasks.notice import Notice
from azureml_tasks.smoke.batch import batch_report
from azureml_tasks.smoke.report import Check, Latency, Report, Wait
from azureml_tasks.smoke.request_check import check_answers, not_healthy_again, request_check
from azureml_tasks.smoke.response_check import status_line
from azureml_tasks.smoke.tracebacks import root_traceback, user_traceback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
    from azureml_tasks.smoke.container_protocol import ContainerEnd
    from azureml_tasks.smoke.response_check import ResponseCheck

    Event = Mapping[str, Any]
    Events = Mapping[tuple[str, int], Event]
    Sent = tuple[SmokeTestRequest, Event | None, ResponseCheck]

_TRY_TIMEOUT = 2.0
"""Seconds; the default of Azure ML's probes:
https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online#probesettings"""
_SLOW_STOP = 10.0
"""Seconds; the grace after which an engine kills a container that does not stop on request."""
_MOST_WAITS = 50
"""Reasons for waiting that are kept; a server that takes turns between two of them has many."""


def probe_config(smoke_test: SmokeTestPlan, base_url: str, *, health_only: bool = False) -> dict[str, Any]:
    """Return the probe's configuration, in the form that `in_image/probe.py` documents.

    Args:
        smoke_test: what to send.
        base_url: scheme, host and port, without a path.
        health_only: wait until the server is ready, and send nothing else.
    """
    requests = [
        {
            "method": request.method,
            "path": request.path,
            "headers": dict(request.headers),
            "body": base64.b64encode(request.body).decode("ascii"),
            "timeout": request.timeout,
            "status": request.status,
        }
        for request in (() if health_only else smoke_test.requests)
    ]
    return {
        "base_url": base_url,
        "start_timeout": smoke_test.start_timeout,
        "try_timeout": _TRY_TIMEOUT,
        "repeat": smoke_test.repeat,
        "health": smoke_test.health,
        "scoring": smoke_test.scoring_path,
        "swagger": smoke_test.is_azure_server and not health_only,
        "malformed": not health_only,
        "requests": requests,
    }


def make_report(
    plan: Plan, image: BuiltImage, events: Iterable[Event], end: ContainerEnd, *, place: str, look_inside: str
) -> Report:
    """Report on the probe's events, whichever machine it ran on.

    Args:
        plan: with the requests that the probe sent.
        image: what ran.
        events: of one run of the probe, in order. A probe inside the container ends with it, so the last event
            may be missing.
        end: how the container was afterwards.
        place: where the requests were sent from.
        look_inside: the command that opens a shell in the image.
    """
    if plan.smoke_test.mini_batch:
        return batch_report(plan, image, events, end, place=place, look_inside=look_inside)
    smoke_test, requests = plan.smoke_test, plan.smoke_test.requests
    events = list(events)
    by_name = {(event["event"], event.get("index", 0)): event for event in events}
    answers = [
        by_name.get(("answer", index)) or by_name.get(("no-answer", index)) for index in range(len(requests))
    ]
    results = [
        check_answers(event, request, health=smoke_test.health)
        for event, request in zip(answers, requests, strict=True)
    ]
    sent = list(zip(requests, answers, results, strict=True))
    checks = [
        _start_check(by_name, smoke_test),
        *([_swagger_check(by_name)] if smoke_test.is_azure_server else []),
        *(request_check(*each) for each in sent),
        _malformed_check(by_name, smoke_test),
    ]
    report = Report(
        image=image.names[0],
        image_id=image.id,
        place=place,
        look_inside=look_inside,
        checks=(*_replaced_script_check(end), *_with_end(checks, by_name, end.exit_code)),
        latencies=tuple(_latencies(sent)),
        started=by_name["ready", 0]["seconds"] if ("ready", 0) in by_name else None,
        waits=tuple(_waits(events)),
        stopped=end.stop_seconds,
        peak_memory=end.peak_memory,
        warnings=(*_image_warnings(plan, image, end), *_answer_warnings(by_name, sent)),
        log=end.log.text,
        log_lines=end.log.lines,
        log_says_why=_log_says_why(by_name, sent, end),
        exit_code=end.exit_code,
        proven=plan.smoke_test.proves,
    )
    return replace(report, traceback=_traceback(report, answers))


def _log_says_why(events: Events, sent: Iterable[Sent], end: ContainerEnd) -> bool:
    """Return whether the server itself failed; False if it only gave another answer than was expected."""
    if ("ready", 0) not in events or end.exit_code is not None:
        return True
    is_well = events.get(("malformed", 0), {"healthy": True})["healthy"]
    if _swagger_check(events).outcome == "failed" or not is_well:
        return True
    failed = [event for _, event, result in sent if event and not result.passed]
    statuses = [each.get("status") for event in failed for each in (event, event.get("changed", event))]
    return any(status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR for status in statuses)


def _replaced_script_check(end: ContainerEnd) -> Iterator[Check]:
    """Yield the failed check of a run in which our stand-in served in the place of the image's own entry script."""
    if end.replaced_script:
        what = (
            f"the base brings its own entry script, {end.replaced_script}, and a stand-in served in its place"
        )
        fix = f'Write: env = {{ AZUREML_ENTRY_SCRIPT = "{end.replaced_script}" }}'
        yield Check(name="entry script", outcome="failed", details=(what, fix))


def _start_check(events: Events, smoke_test: SmokeTestPlan) -> Check:
    if ready := events.get(("ready", 0)):
        return Check(name="start-up", outcome="passed", seconds=ready["seconds"])
    ends = [event for (name, _), event in events.items() if name in {"exited", "not-ready", "elsewhere"}]
    seconds = ends[0]["seconds"] if ends else 0.0
    reasons = [event["last"] for event in events.values() if "last" in event]
    problem = f"GET {smoke_test.health} did not answer 200"
    problem += f" within {seconds:.1f} s" if ("not-ready", 0) in events else ""
    if ("elsewhere", 0) in events:
        problem = "the published port is not on this machine"
    details = (problem, *(f"last try: {reason}" for reason in reasons[-1:]))
    return Check(name="start-up", outcome="failed", details=details, seconds=seconds)


def _swagger_check(events: Events) -> Check:
    event = events.get(("swagger", 0))
    if event is None or event["status"] == HTTPStatus.OK:
        return Check(name="swagger.json", outcome="passed" if event else "not run")
    details = (f"GET /swagger.json: expected status 200, got {_result(event)}",)
    return Check(name="swagger.json", outcome="failed", details=details)


def _malformed_check(events: Events, smoke_test: SmokeTestPlan) -> Check:
    event = events.get(("malformed", 0))
    if event is None or event["healthy"]:
        return Check(name="malformed body", outcome="passed" if event else "not run")
    sent, again = f"POST {smoke_test.scoring_path} with the body {{", not_healthy_again(smoke_test.health)
    details = (sent, f"answer: {_result(event)}", again)
    return Check(name="malformed body", outcome="failed", details=details)


def _result(event: Event) -> str:
    return event["error"] or "no answer" if event["status"] is None else status_line(event["status"])


def _with_end(checks: list[Check], events: Events, exit_code: int | None) -> list[Check]:
    """Fail the check during which the container exited: the failed one, else the first that was not run."""
    if not events.keys().isdisjoint({(name, 0) for name in ("done", "not-ready", "elsewhere")}):
        return checks
    line = "the container exited" + ("" if exit_code is None else f" with code {exit_code}")
    order = {"failed": 0, "not run": 1, "passed": 2}
    index = min(range(len(checks)), key=lambda index: order[checks[index].outcome])
    last = replace(checks[index], outcome="failed", details=(line, *checks[index].details))
    return [*checks[:index], last, *checks[index + 1 :]]


def _waits(events: Iterable[Event]) -> Iterator[Wait]:
    waiting = (event for event in events if event["event"] == "waiting")
    for event in islice(waiting, _MOST_WAITS):
        yield Wait(seconds=event["seconds"], reason=event["last"])


def _latencies(sent: Iterable[Sent]) -> Iterator[Latency]:
    for request, event, result in sent:
        if event is not None and result.passed:
            times = sorted(event["seconds"])
            p50, p95 = (times[math.ceil(share * len(times)) - 1] for share in (0.5, 0.95))
            yield Latency(
                name=request.name,
                status=event["status"],
                p50=p50,
                p95=p95,
                repeats=len(times),
                same="changed" not in event,
                times=tuple(event["seconds"]),
            )


def _image_warnings(plan: Plan, image: BuiltImage, end: ContainerEnd) -> Iterator[Notice]:
    if plan.smoke_test.default_script:
        what = (
            "the image has no code, so a default entry script showed that the server starts with its packages"
        )
        yield Notice("stand-in", what)
    if image.user in {"", "0", "root"}:
        yield Notice("root-user", "the image runs as root")
    if end.stop_seconds is not None and end.stop_seconds >= _SLOW_STOP:
        took = f"the container took {end.stop_seconds:.1f} s to stop"
        yield Notice("slow-stop", f"{took}: its base does not stop its services on request")
    if end.out_of_memory:
        limit = plan.smoke_test.memory or "no limit set"
        what = f"the kernel killed a process in the container because memory ran out ({limit})"
        yield Notice("out-of-memory", what)


def _answer_warnings(events: Events, sent: Iterable[Sent]) -> Iterator[Notice]:
    for request, _, result in sent:
        if result.passed:
            yield from (Notice("response", f"{request.name}: {note}") for note in result.notes)
    malformed = events.get(("malformed", 0), {"healthy": False})
    if malformed["healthy"] and malformed["status"] is None:
        yield Notice("response", f"malformed body: {malformed['error']}; the server came back")


def _traceback(report: Report, answers: Iterable[Event | None]) -> str:
    """Return the traceback that explains a failure; "" for a wrong or a slow answer, which has none."""
    ended = report.exit_code is not None or report.started is None
    raised = [event for event in answers if event and event.get("status") == HTTPStatus.INTERNAL_SERVER_ERROR]
    if report.passed or not (ended or raised):
        return ""
    if not ended and any(
        event.get("headers", {}).get("x-ms-run-function-failed") == "False" for event in raised
    ):
        return root_traceback(report.log)
    return user_traceback(report.log) or root_traceback(report.log)
