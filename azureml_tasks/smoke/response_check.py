"""Check one response against what its request expects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.fields import UNSET
from azureml_tasks.smoke.json_contains import differences, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.project.model import SmokeTestRequest

_HINT = "run() returned json.dumps(…); return the object itself"
_SERVER_DOWN = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True, kw_only=True)
class Response:
    """One HTTP response.

    Args:
        status: HTTP status.
        headers: by lower-case name.
        body: the whole body, or its beginning.
        cut: whether *body* is only the beginning.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class ResponseCheck:
    """The result of a check.

    Args:
        differences: from what is expected, one line each; empty for a pass.
        notes: causes and oddities, one line each; a pass can have some too.
    """

    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the response is as expected."""
        return not self.differences


def check_response(response: Response, request: SmokeTestRequest) -> ResponseCheck:
    """Compare *response* with what *request* expects; compare the body only if the status is right."""
    if response.status != request.status:
        line = f"expected status {request.status}, got {status_line(response.status)}"
        cause = _cause(response)
        return ResponseCheck(differences=(line,), notes=(cause,) if cause else ())
    result = _check_body(response, request)
    return replace(result, differences=(*_header_differences(response.headers, request), *result.differences))


def _header_differences(headers: Mapping[str, str], request: SmokeTestRequest) -> Iterator[str]:
    for name, expected in request.expect_headers.items():
        actual = headers.get(name)
        if actual is None:
            yield f"header {name}: expected {shorten(expected)}, got nothing"
        elif actual != expected:
            yield f"header {name}: expected {shorten(expected)}, got {shorten(actual)}"


def _check_body(response: Response, request: SmokeTestRequest) -> ResponseCheck:
    if request.method == "HEAD" and request.expect is UNSET:
        return ResponseCheck()
    if not response.body and request.expect is UNSET:
        return ResponseCheck(notes=("the answer is empty",))
    text = _text(response) if isinstance(request.expect, str) else None
    if text is not None and text == request.expect:
        return ResponseCheck()
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError):
        if text is not None:
            line = f"the text: expected {shorten(request.expect)}, got {shorten(text)}"
            return ResponseCheck(differences=(line,))
        return ResponseCheck(differences=() if request.expect is UNSET else (_not_json(response),))
    return _check_value(value, request)


def _text(response: Response) -> str | None:
    """Return the whole body of an answer that says that it is a text, such as `text/html`; None for any other."""
    if response.cut or not response.headers.get("content-type", "").startswith("text/"):
        return None
    try:
        return response.body.decode()
    except UnicodeDecodeError:
        return None


def _cause(response: Response) -> str:
    """Explain an error status; "" if it has no known cause.

    azureml-inference-server-http 1.5.1 sets the header to False if its own code raised the exception
    (https://github.com/microsoft/azureml-inference-server/blob/main/azureml_inference_server_http/server/aml_blueprint.py).
    """
    if response.status in _SERVER_DOWN:
        return "the image's web server got no answer from the scoring server behind it"
    if response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        failed = response.headers.get("x-ms-run-function-failed")
        if failed == "True":
            return (
                "run() raised an exception (header x-ms-run-function-failed: True); the log has its traceback"
            )
        if failed == "False":
            return "run() returned a value that JSON cannot hold; of a NumPy array, return array.tolist()"
    return ""


def _check_value(value: Any, request: SmokeTestRequest) -> ResponseCheck:
    inner = _json_in_string(value)
    if request.expect is UNSET:
        note = f"the answer is a JSON string that holds JSON: {_HINT}"
        return ResponseCheck(notes=() if inner is UNSET else (note,))
    if inner is UNSET or isinstance(request.expect, str):
        return ResponseCheck(
            differences=tuple(differences(request.expect, value, tolerance=request.tolerance))
        )
    lines = differences(request.expect, inner, tolerance=request.tolerance)
    content = "other JSON than expected" if lines else "the expected JSON"
    return ResponseCheck(differences=(f"the answer is a JSON string that holds {content}: {_HINT}", *lines))


def _json_in_string(value: Any) -> Any:
    """Return the object or array that a JSON string holds as text, else UNSET."""
    if not isinstance(value, str):
        return UNSET
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return UNSET
    return inner if isinstance(inner, (dict, list)) else UNSET


def _not_json(response: Response) -> str:
    if response.cut:
        return f"the answer is longer than {len(response.body):,} bytes, too long to compare"
    return f"the answer is not JSON: it {_beginning(response.body)}"


def _beginning(body: bytes) -> str:
    if not body:
        return "is empty"
    try:
        return f"begins with {shorten(body.decode())}"
    except UnicodeDecodeError:
        return f"begins with the bytes {body[:16].hex(' ')}"


def status_line(status: int) -> str:
    """Return a status with its name, such as ``502 Bad Gateway``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
