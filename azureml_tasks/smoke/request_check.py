"""Check the answers that the probe got to one request, and show what went wrong."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.fields import UNSET
from azureml_tasks.project.model import JSON_HEADERS
from azureml_tasks.smoke.report import Check
from azureml_tasks.smoke.response_check import Response, ResponseCheck, check_response, status_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.project.model import SmokeTestRequest

    Event = Mapping[str, Any]

_LONGEST_BODY = 2_000  # characters
_MOST_DIFFERENCES = 20


def not_healthy_again(health: str) -> str:
    """Return the detail of a request after which the health check, by its path *health*, did not pass again."""
    return f"afterwards GET {health} did not answer 200 again"


def check_answers(event: Event | None, request: SmokeTestRequest, *, health: str = "/") -> ResponseCheck:
    """Check the first answer and, if it passes, the first repeat that differed from it.

    Args:
        event: the probe's; None if the request was not sent.
        request: the request.
        health: the path of the health check.
    """
    if event is None:
        return ResponseCheck()
    result = _check_event(event, request)
    changed = event.get("changed")
    if result.passed and changed:
        again = _check_event(changed, request)
        lines = tuple(f"repeat {changed['repeat']}: {line}" for line in again.differences)
        result = replace(again, differences=lines) if lines else result
    if event.get("healthy", True):
        return result
    return replace(result, differences=(*result.differences, not_healthy_again(health)))


def _check_event(event: Event, request: SmokeTestRequest) -> ResponseCheck:
    if event.get("status") is None:
        return ResponseCheck(differences=(event["error"],))
    body = base64.b64decode(event["body"])
    response = Response(status=event["status"], headers=event["headers"], body=body, cut=event["cut"])
    return check_response(response, request)


def request_check(request: SmokeTestRequest, event: Event | None, result: ResponseCheck) -> Check:
    """Return the report's check of a request; a failed one shows the request, the answer and what is expected."""
    if event is None:
        return Check(name=request.name, outcome="not run")
    seconds = sum(event.get("seconds", ()))
    if result.passed:
        return Check(name=request.name, outcome="passed", seconds=seconds)
    details = (*_differences(result.differences), *result.notes, *_exchange(request, event))
    return Check(name=request.name, outcome="failed", details=details, seconds=seconds)


def _differences(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MOST_DIFFERENCES]
    if len(lines) > _MOST_DIFFERENCES:
        yield f"and {len(lines) - _MOST_DIFFERENCES} more differences"


def _exchange(request: SmokeTestRequest, event: Event) -> Iterator[str]:
    yield from _sent(request)
    answer = event.get("changed", event)
    if answer.get("status") is not None:
        body = base64.b64decode(answer["body"])
        yield from (f"answer: {status_line(answer['status'])}, {len(body):,} bytes", *_body(body))
    else:
        yield "answer: none"
    if request.expect is UNSET:
        yield f"expected: status {request.status}"
    else:
        yield f"expected: status {request.status}, and in the answer (numbers within {request.tolerance:g})"
        yield from _body(json.dumps(request.expect, ensure_ascii=False).encode())


def _sent(request: SmokeTestRequest) -> Iterator[str]:
    """Yield the request line, each header that is not the usual one, and the body."""
    has_body = request.body or "Content-Type" in request.headers
    yield f"request: {request.method} {request.path}" + (f", {len(request.body):,} bytes" if has_body else "")
    for name, value in request.headers.items():
        if (name, value) not in JSON_HEADERS.items():
            yield f"    {name}: {value}"
    yield from _body(request.body)


def _body(content: bytes) -> list[str]:
    """Return the lines of a text body up to a length; for anything else, the first bytes."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if not all(character.isprintable() or character in "\t\r\n" for character in text) or (
        content and not text
    ):
        return [f"    (not text; the first bytes: {content[:16].hex(' ')})"]
    cut = ["    (cut off here)"] if len(text) > _LONGEST_BODY else []
    return [f"    {line}" for line in text[:_LONGEST_BODY].splitlines()] + cut
