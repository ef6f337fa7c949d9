"""From the probe's events, copied from runs of the real server, to the report."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.config.fields import UNSET
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from azureml_tasks.smoke.container_protocol import ContainerEnd
from azureml_tasks.smoke.events import make_report, probe_config
from azureml_tasks.smoke.log_excerpt import LogExcerpt
from azureml_tasks.smoke.report import Check, Latency, Report, report_record, report_text
from tests.plans import plan

Event = dict[str, Any]


def whole(text: str) -> LogExcerpt:
    """Return a short log."""
    return LogExcerpt(text, len(text.splitlines()))


HEADERS = {"content-type": "application/json", "x-ms-run-function-failed": "False"}
RAISED = {**HEADERS, "x-ms-run-function-failed": "True"}

START: list[Event] = [
    {"event": "waiting", "seconds": 0.000257, "last": "connection refused"},
    {"event": "waiting", "seconds": 0.827091, "last": "no answer within 2 s"},
    {"event": "ready", "seconds": 1.066796, "tries": 8},
    {"event": "swagger", "status": 200, "error": None},
]
MALFORMED: Event = {"event": "malformed", "status": 500, "error": None, "healthy": True}
DONE: Event = {"event": "done", "seconds": 1.096823}
EXITED: Event = {"event": "exited", "seconds": 2.001756}

SAMPLE = SmokeTestRequest(
    name="sample-request.json",
    path="/score",
    body=b'{"data": [1, 2]}',
    status=200,
    expect={"predictions": [1.0, 2.5]},
    tolerance=1e-6,
    timeout=5.0,
)
OTHER = SAMPLE._replace(name="other.json")

USERS = """\
Traceback (most recent call last):
  File "/var/azureml-app/score.py", line 7, in run
    return table["age"]
KeyError: 'age'"""
SERVERS = """\
Traceback (most recent call last):
  File "/opt/miniconda/envs/amlenv/lib/python3.12/json/encoder.py", line 180, in default
    raise TypeError(message)
TypeError: Object of type ndarray is not JSON serializable"""

PASSED_START = (
    Check(name="start-up", outcome="passed", seconds=1.066796),
    Check(name="swagger.json", outcome="passed"),
)


def answer(body: bytes = b'{"predictions": [1.0, 2.5]}', *, index: int = 0, **more: Any) -> Event:
    """Return an event of an answer."""
    event: Event = {"event": "answer", "index": index, "status": 200, "headers": HEADERS, **body_fields(body)}
    return {**event, "seconds": [0.004132, 0.00386, 0.001843], **more}


def body_fields(body: bytes) -> Event:
    """Return the fields of an event that hold a body."""
    return {"body": base64.b64encode(body).decode(), "cut": False}


def report(events: list[Event], *requests: SmokeTestRequest, user: str = "dockeruser", **end: Any) -> Report:
    """Return the report on these events, of an image with this *user*, in a container with this *end*."""
    image = BuiltImage(
        id="sha256:5f1c2d3e4f5a6b7c", names=("train:1.4.0",), engine="docker", context_sha256="", user=user
    )
    place, look_inside = "through 127.0.0.1:49153", "docker run -it train:1.4.0"
    smoke_test = SmokeTestPlan(requests=requests)
    return make_report(
        plan(smoke_test=smoke_test), image, events, ContainerEnd(**end), place=place, look_inside=look_inside
    )


def details(events: list[Event], request: SmokeTestRequest = SAMPLE) -> tuple[str, ...]:
    """Return the details of the one request, which failed."""
    return report([*START, *events, DONE], request).checks[2].details


def test_probe_config() -> None:
    """The probe's configuration holds what the smoke test says, as JSON."""
    smoke_test = SmokeTestPlan(requests=(SAMPLE,), start_timeout=60.0, repeat=3)

    expected = {
        "base_url": "http://127.0.0.1:5001",
        "start_timeout": 60.0,
        "try_timeout": 2.0,
        "repeat": 3,
        "health": "/",
        "scoring": "/score",
        "swagger": True,
        "malformed": True,
        "requests": [
            {
                "method": "POST",
                "path": "/score",
                "headers": {"Content-Type": "application/json"},
                "body": "eyJkYXRhIjogWzEsIDJdfQ==",
                "timeout": 5.0,
                "status": 200,
            }
        ],
    }
    assert expected == json.loads(json.dumps(probe_config(smoke_test, "http://127.0.0.1:5001")))


def test_a_pass() -> None:
    """A pass is a few lines, with figures and warnings."""
    result = report([*START, answer(), MALFORMED, DONE], SAMPLE, peak_memory=242221056, user="root")

    expected = """\
train:1.4.0 passed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s
    sample-request.json: 200 in p50 4 ms, p95 4 ms of 3
    peak memory 231 MiB
Warning: the image runs as root"""
    assert expected == report_text(result)


def test_the_record_of_a_pass() -> None:
    """The record holds everything but the log, as JSON."""
    result = report(
        [*START, answer(), MALFORMED, DONE], SAMPLE, log=whole("a log"), peak_memory=1, stop_seconds=1.5
    )

    check = {"outcome": "passed", "details": [], "seconds": 0.0}
    expected = {
        "passed": True,
        "image": "train:1.4.0",
        "image_id": "sha256:5f1c2d3e4f5a6b7c",
        "place": "through 127.0.0.1:49153",
        "checks": [
            {**check, "name": "start-up", "seconds": 1.066796},
            {**check, "name": "swagger.json"},
            {**check, "name": "sample-request.json", "seconds": 0.009835},
            {**check, "name": "malformed body"},
        ],
        "latencies": [
            {
                "name": "sample-request.json",
                "status": 200,
                "p50": 0.00386,
                "p95": 0.004132,
                "repeats": 3,
                "same": True,
                "times": [0.004132, 0.00386, 0.001843],
            }
        ],
        "started": 1.066796,
        "waits": [
            {"seconds": 0.000257, "reason": "connection refused"},
            {"seconds": 0.827091, "reason": "no answer within 2 s"},
        ],
        "stopped": 1.5,
        "peak_memory": 1,
        "warnings": [],
        "exit_code": None,
        "proven": "requests",
    }
    assert expected == json.loads(json.dumps(report_record(result)))


def test_a_pass_without_requests() -> None:
    """Without requests of its own, the image passes by the checks that every image gets."""
    result = report([*START, MALFORMED, DONE])

    assert (*PASSED_START, Check(name="malformed body", outcome="passed")) == result.checks
    assert result.passed


def test_a_wrong_answer() -> None:
    """It is shown last, with what is expected, and without the log, whose last traceback is the malformed body's."""
    log = "\n".join([*(f"line {number}" for number in range(50)), USERS, ""])
    result = report([*START, answer(b'{"predictions": [1, 3]}'), MALFORMED, DONE], SAMPLE, log=whole(log))

    expected = """\
train:1.4.0 failed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s
Look inside: docker run -it train:1.4.0

Failed: sample-request.json
    $.predictions[1]: expected 2.5, got 3
    request: POST /score, 16 bytes
        {"data": [1, 2]}
    answer: 200 OK, 23 bytes
        {"predictions": [1, 3]}
    expected: status 200, and in the answer (numbers within 1e-06)
        {"predictions": [1.0, 2.5]}"""
    assert expected == report_text(result)


def test_run_raised() -> None:
    """If run() raised, its traceback is shown last and alone, and the checks that did not run are named before."""
    body = b'{"message": "An unexpected error occurred in scoring script. Check the logs for more info."}'
    events = [*START, answer(body, status=500, headers=RAISED, seconds=[0.005]), answer(index=1), DONE]
    result = report(events, SAMPLE._replace(body=b""), OTHER, log=whole(f"{USERS}\n\n{SERVERS}"), user="root")

    expected = f"""\
train:1.4.0 failed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s
    other.json: 200 in p50 4 ms, p95 4 ms of 3
Warning: the image runs as root
Not run: malformed body
Look inside: docker run -it train:1.4.0

Failed: sample-request.json
    expected status 200, got 500 Internal Server Error
    run() raised an exception (header x-ms-run-function-failed: True); the log has its traceback
    request: POST /score, 0 bytes
    answer: 500 Internal Server Error, 92 bytes
        {body.decode()}
    expected: status 200, and in the answer (numbers within 1e-06)
        {{"predictions": [1.0, 2.5]}}

In the container's log:
    Traceback (most recent call last):
      File "/var/azureml-app/score.py", line 7, in run
        return table["age"]
    KeyError: 'age'"""
    assert expected == report_text(result)


def test_an_exit_at_the_start() -> None:
    """A container that exits while starting fails with its exit code and why it was not ready."""
    result = report([*START[:2], EXITED], SAMPLE, log=whole(f"{USERS}\n\n{SERVERS}"), exit_code=111)

    why = (
        "the container exited with code 111",
        "GET / did not answer 200",
        "last try: no answer within 2 s",
    )
    assert (
        Check(name="start-up", outcome="failed", details=why, seconds=2.001756),
        Check(name="swagger.json", outcome="not run"),
        Check(name="sample-request.json", outcome="not run"),
        Check(name="malformed body", outcome="not run"),
    ) == result.checks
    assert (None, USERS) == (result.started, result.traceback)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        pytest.param(
            {"event": "not-ready", "seconds": 310.4, "last": "502 Bad Gateway"},
            ("GET / did not answer 200 within 310.4 s", "last try: 502 Bad Gateway"),
            id="never ready",
        ),
        pytest.param(
            {"event": "elsewhere", "seconds": 0.01},
            ("the published port is not on this machine", "last try: connection refused"),
            id="elsewhere",
        ),
    ],
)
def test_no_start(end: Event, why: tuple[str, ...]) -> None:
    """The report says why the image did not start, with the last try."""
    result = report([START[0], end], log=whole(SERVERS))

    assert Check(name="start-up", outcome="failed", details=why, seconds=end["seconds"]) == result.checks[0]
    assert SERVERS == result.traceback


def test_an_exit_without_an_event() -> None:
    """If the probe ended with its container, the check that was running fails."""
    result = report(START[:3], SAMPLE, exit_code=0)

    assert (
        PASSED_START[0],
        Check(name="swagger.json", outcome="failed", details=("the container exited with code 0",)),
        Check(name="sample-request.json", outcome="not run"),
        Check(name="malformed body", outcome="not run"),
    ) == result.checks


def test_an_exit_in_a_request() -> None:
    """A request that makes the container exit fails with both reasons."""
    failed = {
        "event": "no-answer",
        "index": 0,
        "error": "connection closed without an answer",
        "healthy": False,
    }
    result = report([*START, failed, EXITED], SAMPLE, OTHER)

    why = (
        "the container exited",
        "connection closed without an answer",
        "afterwards GET / did not answer 200 again",
        "request: POST /score, 16 bytes",
        '    {"data": [1, 2]}',
        "answer: none",
        "expected: status 200, and in the answer (numbers within 1e-06)",
        '    {"predictions": [1.0, 2.5]}',
    )
    assert (
        *PASSED_START,
        Check(name="sample-request.json", outcome="failed", details=why),
        Check(name="other.json", outcome="not run"),
        Check(name="malformed body", outcome="not run"),
    ) == result.checks


@pytest.mark.parametrize(
    ("event", "line"),
    [
        pytest.param(
            {"status": 404, "error": None},
            "GET /swagger.json: expected status 200, got 404 Not Found",
            id="404",
        ),
        pytest.param(
            {"status": None, "error": "no answer within 5 s"},
            "GET /swagger.json: expected status 200, got no answer within 5 s",
            id="no answer",
        ),
    ],
)
def test_no_swagger(event: Event, line: str) -> None:
    """The report says what /swagger.json answered instead."""
    result = report([*START[:3], {"event": "swagger", **event}, MALFORMED, DONE])

    assert Check(name="swagger.json", outcome="failed", details=(line,)) == result.checks[1]


def test_a_deadly_malformed_body() -> None:
    """A malformed body after which the server is gone fails the test."""
    malformed = {
        **MALFORMED,
        "status": None,
        "error": "connection closed without an answer",
        "healthy": False,
    }
    result = report([*START, malformed, EXITED], exit_code=111, log=whole(USERS))

    why = (
        "the container exited with code 111",
        "POST /score with the body {",
        "answer: connection closed without an answer",
        "afterwards GET / did not answer 200 again",
    )
    assert Check(name="malformed body", outcome="failed", details=why) == result.checks[2]
    assert USERS == result.traceback


def test_a_malformed_body_that_restarts_the_worker() -> None:
    """A worker that dies of the malformed body and comes back gives a warning."""
    malformed = {**MALFORMED, "status": None, "error": "connection closed without an answer"}
    result = report([*START, malformed, DONE])

    assert ["malformed body: connection closed without an answer; the server came back"] == [
        *map(str, result.warnings)
    ]
    assert result.passed


def test_the_servers_own_traceback() -> None:
    """If run() returned what JSON cannot hold, the server's traceback explains it."""
    result = report([*START, answer(status=500), DONE], SAMPLE, log=whole(f"{USERS}\n\n{SERVERS}"))

    assert SERVERS == result.traceback


def test_answers_that_vary() -> None:
    """Answers may vary as long as each is as expected."""
    changed = {
        "repeat": 2,
        "status": 200,
        "headers": HEADERS,
        **body_fields(b'{"predictions": [1, 2.5], "id": 2}'),
    }
    result = report([*START, answer(changed=changed), MALFORMED, DONE], SAMPLE)

    latency = Latency(
        name="sample-request.json",
        status=200,
        p50=0.00386,
        p95=0.004132,
        repeats=3,
        same=False,
        times=(0.004132, 0.00386, 0.001843),
    )
    assert (latency,) == result.latencies
    expected = """\
train:1.4.0 passed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s
    sample-request.json: 200 in p50 4 ms, p95 4 ms of 3, not always the same answer"""
    assert expected == report_text(result)


EXCHANGE = ("request: POST /score, 16 bytes", '    {"data": [1, 2]}')
EXPECTED = (
    "expected: status 200, and in the answer (numbers within 1e-06)",
    '    {"predictions": [1.0, 2.5]}',
)


@pytest.mark.parametrize(
    ("changed", "differences", "shown"),
    [
        pytest.param(
            {"status": 200, "headers": HEADERS, **body_fields(b'{"predictions": [0, 2.5]}')},
            ("repeat 2: $.predictions[0]: expected 1.0, got 0",),
            ("answer: 200 OK, 25 bytes", '    {"predictions": [0, 2.5]}'),
            id="another answer",
        ),
        pytest.param(
            {"status": None, "error": "no answer within 5 s"},
            ("repeat 2: no answer within 5 s",),
            ("answer: none",),
            id="no answer",
        ),
    ],
)
def test_a_repeat_that_fails(changed: Event, differences: tuple[str, ...], shown: tuple[str, ...]) -> None:
    """A repeat that is not as expected fails the request, and is the answer that is shown."""
    result = details([answer(changed={"repeat": 2, **changed})])

    assert (*differences, *EXCHANGE, *shown, *EXPECTED) == result


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(
            b"a" * 2001, ("answer: 200 OK, 2,001 bytes", f"    {'a' * 2000}", "    (cut off here)"), id="long"
        ),
        pytest.param(
            b"\x89PNG\r\n\x1a\n",
            ("answer: 200 OK, 8 bytes", "    (not text; the first bytes: 89 50 4e 47 0d 0a 1a 0a)"),
            id="an image",
        ),
        pytest.param(
            b"\x1b[2J",
            ("answer: 200 OK, 4 bytes", "    (not text; the first bytes: 1b 5b 32 4a)"),
            id="control",
        ),
        pytest.param("é\n\t模".encode(), ("answer: 200 OK, 7 bytes", "    é", "    \t模"), id="text"),
    ],
)
def test_bodies(body: bytes, shown: tuple[str, ...]) -> None:
    """A text body is shown up to a length, another one by its first bytes."""
    result = details([answer(body)], SAMPLE._replace(expect=1))[3:-2]

    assert shown == result


def test_many_differences() -> None:
    """At most 20 differences are shown."""
    request = SAMPLE._replace(expect=[1] * 25)
    result = details([answer(json.dumps([0] * 25).encode())], request)[:21]

    assert (*(f"$[{index}]: expected 1, got 0" for index in range(20)), "and 5 more differences") == result


def test_notes_of_a_pass() -> None:
    """An oddity of an answer that is as expected becomes a warning."""
    request = SAMPLE._replace(expect=UNSET)
    result = report(
        [*START, answer(b""), answer(b'"[1]"', index=1), MALFORMED, DONE], request, request._replace(name="b")
    )

    hint = (
        "the answer is a JSON string that holds JSON: run() returned json.dumps(…); return the object itself"
    )
    assert ["sample-request.json: the answer is empty", f"b: {hint}"] == [*map(str, result.warnings)]
    assert result.passed


def test_nothing_expected() -> None:
    """If no body is expected, only the status is compared."""
    result = details([answer(b"no", status=404)], SAMPLE._replace(expect=UNSET))

    answered = ("answer: 404 Not Found, 2 bytes", "    no")
    assert ("expected status 200, got 404 Not Found", *EXCHANGE, *answered, "expected: status 200") == result


def test_what_was_sent() -> None:
    """A failed request shows its method, its headers other than the usual one, and its body if it has one."""
    get = SAMPLE._replace(
        name="GET /score", method="GET", headers={"X-Team": "a"}, body=b"", expect_headers={"x-a": "1"}
    )
    picture = SAMPLE._replace(headers={"Content-Type": "image/png"}, body=b"PNG", expect=UNSET)

    assert details([answer()], get) == (
        'header x-a: expected "1", got nothing',
        "request: GET /score",
        "    X-Team: a",
        "answer: 200 OK, 27 bytes",
        '    {"predictions": [1.0, 2.5]}',
        *EXPECTED,
    )
    assert details([answer(status=415)], picture)[1:4] == (
        "request: POST /score, 3 bytes",
        "    Content-Type: image/png",
        "    PNG",
    )
