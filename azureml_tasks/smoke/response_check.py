"""Whether an answer is the one that was wanted, and what the server's signs say if it is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.fields import UNSET
from azureml_tasks.smoke.json_contains import differences, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Answer", "Verdict", "Wanted", "judge", "status_line"]

_HINT = "run() returned json.dumps(…); return the object itself"
_DOWN = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an answer must be.

    Args:
        status: HTTP status.
        expect: JSON value that the body must contain, or UNSET for any body.
        tolerance: largest distance between a wanted number and the one that came.
    """

    status: int = 200
    expect: Any = UNSET
    tolerance: float = 1e-6


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came.

    Args:
        status: HTTP status.
        headers: by lower-case name.
        body: as it came, or its beginning.
        cut: whether the body went on.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong with an answer, and what is worth knowing about it.

    Args:
        differences: one line each; none when the answer is as wanted.
        notes: causes and oddities, one line each, also of an answer that is as wanted.
    """

    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the answer is as wanted."""
        return not self.differences


def judge(answer: Answer, wanted: Wanted) -> Verdict:
    """Compare an answer with what is wanted; the body only where the status is right."""
    if answer.status != wanted.status:
        line = f"wanted status {wanted.status}, got {status_line(answer.status)}"
        return Verdict(differences=(line,), notes=tuple(_causes(answer)))
    if not answer.body and wanted.expect is UNSET:
        return Verdict(notes=("the answer is empty",))
    try:
        got = json.loads(answer.body)
    except (ValueError, RecursionError):
        return Verdict(differences=() if wanted.expect is UNSET else (_not_json(answer),))
    return _compared(got, wanted)


def _causes(answer: Answer) -> Iterator[str]:
    """Azureml-inference-server-http 1.5.1 sets the header to False where its own code raised."""
    failed = answer.headers.get("x-ms-run-function-failed")
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and failed == "True":
        yield "run() raised (header x-ms-run-function-failed: True); its traceback is in the log"
    elif answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and failed == "False":
        yield "run() did not raise, but what it returned has no JSON form; a NumPy array has .tolist()"
    elif answer.status in _DOWN:
        yield "the image's web server had no answer from the scoring server behind it"


def _compared(got: Any, wanted: Wanted) -> Verdict:
    held = _held(got)
    if wanted.expect is UNSET:
        note = f"the answer is a JSON string that holds JSON: {_HINT}"
        return Verdict(notes=() if held is UNSET else (note,))
    if held is UNSET or isinstance(wanted.expect, str):
        return Verdict(differences=tuple(differences(wanted.expect, got, tolerance=wanted.tolerance)))
    inner = differences(wanted.expect, held, tolerance=wanted.tolerance)
    what = "JSON, and not the wanted one" if inner else "the wanted JSON"
    return Verdict(differences=(f"the answer is a JSON string that holds {what}: {_HINT}", *inner))


def _held(got: Any) -> Any:
    """The value in a string that is JSON itself, or UNSET; a bare word or number is not meant."""
    if not isinstance(got, str):
        return UNSET
    try:
        held = json.loads(got)
    except (ValueError, RecursionError):
        return UNSET
    return held if isinstance(held, (dict, list)) else UNSET


def _not_json(answer: Answer) -> str:
    if answer.cut:
        return f"the answer is longer than {len(answer.body):,} bytes, too long to compare"
    return f"the answer is not JSON: it {_beginning(answer.body)}"


def _beginning(body: bytes) -> str:
    if not body:
        return "is empty"
    try:
        return f"begins with {shown(body.decode())}"
    except UnicodeDecodeError:
        return f"begins with the bytes {body[:16].hex(' ')}"


def status_line(status: int) -> str:
    """A status with its name, such as ``502 Bad Gateway``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
