"""Checking one response against what its request expects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.config.fields import UNSET
from azureml_tasks.project.model import SmokeTestRequest
from azureml_tasks.smoke.response_check import Response, ResponseCheck, check_response, status_line
from tests.json_values import JSON

HINT = "run() returned json.dumps(…); return the object itself"


def request(*, status: int = 200, expect: Any = UNSET, tolerance: float = 1e-6) -> SmokeTestRequest:
    """A request that expects this."""
    return SmokeTestRequest(
        name="r", path="/score", body=b"", status=status, expect=expect, tolerance=tolerance, timeout=5.0
    )


BAD_GATEWAY = "the image's web server got no answer from the scoring server behind it"


@pytest.mark.parametrize(
    ("response", "request_", "expected"),
    [
        pytest.param(
            Response(status=200, body=b"hello"),
            request(),
            ResponseCheck(),
            id="any body, if none is expected",
        ),
        pytest.param(
            Response(status=400),
            request(status=400),
            ResponseCheck(notes=("the answer is empty",)),
            id="empty",
        ),
        pytest.param(
            Response(status=200, body=b'{"a": 1, "b": 2}'),
            request(expect={"a": 1}),
            ResponseCheck(),
            id="contained",
        ),
        pytest.param(
            Response(status=200, body=b'{"a": 2}'),
            request(expect={"a": 1}),
            ResponseCheck(differences=("$.a: expected 1, got 2",)),
            id="different",
        ),
        pytest.param(
            Response(status=200, body=b'{"a": 2}'),
            request(expect={"a": 1}, tolerance=1),
            ResponseCheck(),
            id="tolerance",
        ),
        pytest.param(
            Response(status=200, body=b"null"),
            request(expect=None),
            ResponseCheck(),
            id="null is a value",
        ),
        pytest.param(
            Response(status=200, body=b'"{\\"a\\": 1, \\"b\\": 2}"'),
            request(expect={"a": 1}),
            ResponseCheck(differences=(f"the answer is a JSON string that holds the expected JSON: {HINT}",)),
            id="a string that holds it",
        ),
        pytest.param(
            Response(status=200, body=b'"[1]"'),
            request(expect=[2]),
            ResponseCheck(
                differences=(
                    f"the answer is a JSON string that holds other JSON than expected: {HINT}",
                    "$[0]: expected 2, got 1",
                )
            ),
            id="a string that holds something else",
        ),
        pytest.param(
            Response(status=200, body=b'"[1]"'),
            request(),
            ResponseCheck(notes=(f"the answer is a JSON string that holds JSON: {HINT}",)),
            id="a string that holds JSON, if nothing is expected",
        ),
        pytest.param(
            Response(status=200, body=b'"[1]"'),
            request(expect="[1]"),
            ResponseCheck(),
            id="an expected string",
        ),
        pytest.param(
            Response(status=200, body=b'"1"'),
            request(expect=1),
            ResponseCheck(differences=('$: expected 1, got "1"',)),
            id="a string that is a number",
        ),
        pytest.param(
            Response(status=200, body=b'"yes'),
            request(expect="yes"),
            ResponseCheck(differences=('the answer is not JSON: it begins with "\\"yes"',)),
            id="not JSON",
        ),
        pytest.param(
            Response(status=200, body=b"\x89PNG\xff"),
            request(expect={}),
            ResponseCheck(differences=("the answer is not JSON: it begins with the bytes 89 50 4e 47 ff",)),
            id="not text",
        ),
        pytest.param(
            Response(status=200, body=b"[" * 100_000),
            request(expect={}),
            ResponseCheck(differences=(f'the answer is not JSON: it begins with "{"[" * 99}…',)),
            id="too deep",
        ),
        pytest.param(
            Response(status=200),
            request(expect={}),
            ResponseCheck(differences=("the answer is not JSON: it is empty",)),
            id="empty, though JSON is expected",
        ),
        pytest.param(
            Response(status=200, body=b"[1, 2,", cut=True),
            request(expect=[]),
            ResponseCheck(differences=("the answer is longer than 6 bytes, too long to compare",)),
            id="too long",
        ),
        pytest.param(
            Response(status=500, headers={"x-ms-run-function-failed": "True"}, body=b"{}"),
            request(expect={"a": 1}),
            ResponseCheck(
                differences=("expected status 200, got 500 Internal Server Error",),
                notes=(
                    "run() raised an exception (header x-ms-run-function-failed: True); the log has its traceback",
                ),
            ),
            id="run() raised",
        ),
        pytest.param(
            Response(status=500, headers={"x-ms-run-function-failed": "False"}),
            request(),
            ResponseCheck(
                differences=("expected status 200, got 500 Internal Server Error",),
                notes=(
                    "run() returned a value that JSON cannot hold; of a NumPy array, return array.tolist()",
                ),
            ),
            id="run() returned something else",
        ),
        pytest.param(
            Response(status=502),
            request(status=200),
            ResponseCheck(differences=("expected status 200, got 502 Bad Gateway",), notes=(BAD_GATEWAY,)),
            id="the web server answers",
        ),
        pytest.param(
            Response(status=200, body=b"{}"),
            request(status=400),
            ResponseCheck(differences=("expected status 400, got 200 OK",)),
            id="an expected failure",
        ),
    ],
)
def test_check_response(response: Response, request_: SmokeTestRequest, expected: ResponseCheck) -> None:
    """The result names each difference and, from what the server says, its cause."""
    result = check_response(response, request_)

    assert expected == result
    assert result.passed is (expected.differences == ())


TEXT = {"content-type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("body", "expect", "differences"),
    [
        (b"Healthy", "Healthy", ()),
        (b'"Healthy"', "Healthy", ()),
        (b"Healthy", "ill", ('the text: expected "ill", got "Healthy"',)),
        (b'"Healthy"', "ill", ('$: expected "ill", got "Healthy"',)),
        (b"Healthy", 1, ('the answer is not JSON: it begins with "Healthy"',)),
        (b'{"a": 1}', {"a": 1}, ()),
        (b"\xff", "x", ("the answer is not JSON: it begins with the bytes ff",)),
        (b"null", None, ()),
    ],
)
def test_an_answer_that_is_a_text(body: bytes, expect: Any, differences: tuple[str, ...]) -> None:
    """A text is compared with an expected string; it may hold JSON all the same."""
    result = check_response(Response(status=200, headers=TEXT, body=body), request(expect=expect))

    assert result == ResponseCheck(differences=differences)


def test_expected_headers() -> None:
    """Each expected header is compared, beside the body."""
    with_headers = request(expect={"a": 1})._replace(expect_headers={"x-a": "1", "x-b": "2", "x-c": "3"})
    response = Response(status=200, headers={"x-a": "1", "x-b": "3"}, body=b'{"a": 2}')

    assert check_response(response, with_headers).differences == (
        'header x-b: expected "2", got "3"',
        'header x-c: expected "3", got nothing',
        "$.a: expected 1, got 2",
    )


def test_an_answer_to_head() -> None:
    """It has no body, and nothing is said of that."""
    assert check_response(Response(status=200), request()._replace(method="HEAD")) == ResponseCheck()


@given(st.binary(max_size=40), st.none() | JSON)
def test_any_body_can_be_checked(body: bytes, expect: Any) -> None:
    """Any bytes can be checked, and each difference and note is one line."""
    result = check_response(Response(status=200, body=body), request(expect=expect))

    assert [] == [line for line in (*result.differences, *result.notes) if "\n" in line]


@pytest.mark.parametrize(("status", "expected"), [(404, "404 Not Found"), (599, "599")])
def test_status_line(status: int, expected: str) -> None:
    """A status is shown with its name if it has one."""
    assert expected == status_line(status)
