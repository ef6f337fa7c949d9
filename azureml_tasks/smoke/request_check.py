"""One request of the smoke test, and what came back."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.fields import UNSET
from azureml_tasks.smoke.report import Check
from azureml_tasks.smoke.response_check import Answer, Verdict, Wanted, judge, status_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.project.model import SmokeTestRequest

    Event = Mapping[str, Any]

__all__ = ["NOT_AGAIN", "checked", "judged"]

NOT_AGAIN = "afterwards GET / did not answer 200 again"
"""What is said of a server that did not recover."""

_SHOWN = 2_000  # characters of a body
_LINES = 20  # differences


def judged(event: Event | None, request: SmokeTestRequest) -> Verdict:
    """Judge the first answer; where that is as wanted, the first repeat that was another.

    Args:
        event: the prober's; None when the request was not sent.
        request: what was to be sent.
    """
    if event is None:
        return Verdict()
    verdict = _judged(event, request)
    changed = event.get("changed")
    if verdict.passed and changed:
        again = _judged(changed, request)
        differences = tuple(f"repeat {changed['repeat']}: {line}" for line in again.differences)
        verdict = again if differences else verdict
        verdict = replace(verdict, differences=differences)
    if event.get("healthy", True):
        return verdict
    return replace(verdict, differences=(*verdict.differences, NOT_AGAIN))


def _judged(event: Event, request: SmokeTestRequest) -> Verdict:
    if event.get("status") is None:
        return Verdict(differences=(event["error"],))
    wanted = Wanted(status=request.status, expect=request.expect, tolerance=request.tolerance)
    return judge(_answer(event), wanted)


def _answer(event: Event) -> Answer:
    body = base64.b64decode(event["body"])
    return Answer(status=event["status"], headers=event["headers"], body=body, cut=event["cut"])


def checked(request: SmokeTestRequest, event: Event | None, verdict: Verdict) -> Check:
    """The check that a request was, with all that a person needs to see what went wrong."""
    if event is None:
        return Check(name=request.name, outcome="not made")
    seconds = sum(event.get("seconds", ()))
    if verdict.passed:
        return Check(name=request.name, outcome="passed", seconds=seconds)
    details = (*_shortened(verdict.differences), *verdict.notes, *_exchange(request, event))
    return Check(name=request.name, outcome="failed", details=details, seconds=seconds)


def _shortened(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield f"and {len(lines) - _LINES} more differences"


def _exchange(request: SmokeTestRequest, event: Event) -> Iterator[str]:
    yield from (f"request: POST {request.path}, {len(request.body):,} bytes", *_body(request.body))
    shown = event.get("changed", event)
    if shown.get("status") is not None:
        body = base64.b64decode(shown["body"])
        yield from (f"answer: {status_line(shown['status'])}, {len(body):,} bytes", *_body(body))
    else:
        yield "answer: none"
    if request.expect is UNSET:
        yield f"wanted: status {request.status}"
    else:
        yield f"wanted: status {request.status}, and in the answer (numbers within {request.tolerance:g})"
        yield from _body(json.dumps(request.expect, ensure_ascii=False).encode())


def _body(content: bytes) -> list[str]:
    """Text as it is, up to a length; of anything else the first bytes."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if not all(character.isprintable() or character in "\t\r\n" for character in text) or (
        content and not text
    ):
        return [f"    (no text; its first bytes: {content[:16].hex(' ')})"]
    cut = ["    (and so on)"] if len(text) > _SHOWN else []
    return [f"    {line}" for line in text[:_SHOWN].splitlines()] + cut
