"""From the prober's events, copied from runs of the real server, to what a person reads."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from azureml_tasks.config.fields import UNSET
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from azureml_tasks.smoke.events import from_events, job
from azureml_tasks.smoke.report import Check, Latency, Report, summary, text

Event = dict[str, Any]

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
    """An answer as the prober tells it."""
    event: Event = {"event": "answer", "index": index, "status": 200, "headers": HEADERS, **told(body)}
    return {**event, "seconds": [0.004132, 0.00386, 0.001843], **more}


def told(body: bytes) -> Event:
    """A body as the prober tells it."""
    return {"body": base64.b64encode(body).decode(), "cut": False}


def report(events: list[Event], *requests: SmokeTestRequest, **more: Any) -> Report:
    """The report on these events."""
    named: dict[str, Any] = {"image": "train:1.4.0", "image_id": "sha256:5f1c2d3e4f5a6b7c", **more}
    place, look_inside = "through 127.0.0.1:49153", "docker run -it train:1.4.0"
    return from_events(events, requests, place=place, look_inside=look_inside, **named)


def details(events: list[Event], request: SmokeTestRequest = SAMPLE) -> tuple[str, ...]:
    """Why the one request failed."""
    return report([*START, *events, DONE], request).checks[2].details


def test_job() -> None:
    """The prober's job holds what the smoke test says, as JSON."""
    smoke_test = SmokeTestPlan(requests=(SAMPLE,), start_timeout=60.0, repeat=3)

    expected = {
        "base_url": "http://127.0.0.1:5001",
        "start_timeout": 60.0,
        "try_timeout": 2.0,
        "repeat": 3,
        "requests": [{"path": "/score", "body": "eyJkYXRhIjogWzEsIDJdfQ==", "timeout": 5.0, "status": 200}],
    }
    assert expected == json.loads(json.dumps(job(smoke_test, "http://127.0.0.1:5001")))


def test_a_pass() -> None:
    """A pass is told in a few lines, figures and warnings."""
    found = report(
        [*START, answer(), MALFORMED, DONE], SAMPLE, peak_memory=242221056, warnings=["it runs as root"]
    )

    expected = """\
train:1.4.0 serves: it passed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s
    sample-request.json: 200 in p50 4 ms, p95 4 ms of 3
    peak memory 231 MiB
Warning: it runs as root"""
    assert expected == text(found)


def test_the_record_of_a_pass() -> None:
    """The record holds everything but the log, as JSON."""
    found = report([*START, answer(), MALFORMED, DONE], SAMPLE, log="a log", peak_memory=1)

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
            }
        ],
        "started": 1.066796,
        "peak_memory": 1,
        "warnings": [],
        "exited": None,
    }
    assert expected == json.loads(json.dumps(summary(found)))


def test_a_pass_without_requests() -> None:
    """Without requests the image still passes by what is asked of every one."""
    found = report([*START, MALFORMED, DONE])

    assert (*PASSED_START, Check(name="malformed body", outcome="passed")) == found.checks
    assert found.passed


def test_a_wrong_answer() -> None:
    """A wrong answer is shown beside what was sent and wanted, without the malformed body's traceback."""
    log = "\n".join([*(f"line {number}" for number in range(50)), USERS, ""])
    found = report([*START, answer(b'{"predictions": [1, 3]}'), MALFORMED, DONE], SAMPLE, log=log)

    tail = "\n".join(f"    line {number}" for number in range(14, 50))
    expected = f"""\
train:1.4.0 failed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s

Failed: sample-request.json
    $.predictions[1]: wanted 2.5, got 3
    request: POST /score, 16 bytes
        {{"data": [1, 2]}}
    answer: 200 OK, 23 bytes
        {{"predictions": [1, 3]}}
    wanted: status 200, and in the answer (numbers within 1e-06)
        {{"predictions": [1.0, 2.5]}}

The last 40 of the 54 lines of the container's log (its last request is this test's malformed body):
{tail}
    Traceback (most recent call last):
      File "/var/azureml-app/score.py", line 7, in run
        return table["age"]
    KeyError: 'age'

Look inside: docker run -it train:1.4.0"""
    assert expected == text(found)


def test_run_raised() -> None:
    """Where run() raised, its traceback stands above the log, and what was left out is named."""
    body = b'{"message": "An unexpected error occurred in scoring script. Check the logs for more info."}'
    events = [*START, answer(body, status=500, headers=RAISED, seconds=[0.005]), answer(index=1), DONE]
    found = report(
        events, SAMPLE._replace(body=b""), OTHER, log=f"{USERS}\n\n{SERVERS}", warnings=["it runs as root"]
    )

    expected = f"""\
train:1.4.0 failed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s
    other.json: 200 in p50 4 ms, p95 4 ms of 3

Failed: sample-request.json
    wanted status 200, got 500 Internal Server Error
    run() raised (header x-ms-run-function-failed: True); its traceback is in the log
    request: POST /score, 0 bytes
    answer: 500 Internal Server Error, 92 bytes
        {body.decode()}
    wanted: status 200, and in the answer (numbers within 1e-06)
        {{"predictions": [1.0, 2.5]}}

Not made: malformed body

In the container's log:
    Traceback (most recent call last):
      File "/var/azureml-app/score.py", line 7, in run
        return table["age"]
    KeyError: 'age'

The container's log:
    Traceback (most recent call last):
      File "/var/azureml-app/score.py", line 7, in run
        return table["age"]
    KeyError: 'age'

    Traceback (most recent call last):
      File "/opt/miniconda/envs/amlenv/lib/python3.12/json/encoder.py", line 180, in default
        raise TypeError(message)
    TypeError: Object of type ndarray is not JSON serializable

Warning: it runs as root

Look inside: docker run -it train:1.4.0"""
    assert expected == text(found)


def test_an_exit_at_the_start() -> None:
    """A container that ends while starting fails with its exit code and the reason it was not ready."""
    found = report([*START[:2], EXITED], SAMPLE, log=f"{USERS}\n\n{SERVERS}", exited=111)

    why = (
        "the container ended with exit code 111",
        "GET / did not answer 200",
        "the last try: no answer within 2 s",
    )
    assert (
        Check(name="start-up", outcome="failed", details=why, seconds=2.001756),
        Check(name="swagger.json", outcome="not made"),
        Check(name="sample-request.json", outcome="not made"),
        Check(name="malformed body", outcome="not made"),
    ) == found.checks
    assert (None, USERS) == (found.started, found.traceback)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        pytest.param(
            {"event": "not-ready", "seconds": 310.4, "last": "502 Bad Gateway"},
            ("GET / did not answer 200 within 310.4 s", "the last try: 502 Bad Gateway"),
            id="never ready",
        ),
        pytest.param(
            {"event": "elsewhere", "seconds": 0.01},
            ("the published port is not on this machine", "the last try: connection refused"),
            id="elsewhere",
        ),
    ],
)
def test_no_start(end: Event, why: tuple[str, ...]) -> None:
    """What kept the image from starting is told, with the last try."""
    found = report([START[0], end], log=SERVERS)

    assert Check(name="start-up", outcome="failed", details=why, seconds=end["seconds"]) == found.checks[0]
    assert SERVERS == found.traceback


def test_an_end_without_an_event() -> None:
    """A prober that ended with its container fails the check that it was at."""
    found = report(START[:3], SAMPLE, exited=0)

    assert (
        PASSED_START[0],
        Check(name="swagger.json", outcome="failed", details=("the container ended with exit code 0",)),
        Check(name="sample-request.json", outcome="not made"),
        Check(name="malformed body", outcome="not made"),
    ) == found.checks


def test_an_end_in_a_request() -> None:
    """A request that ends the container fails with both findings."""
    failed = {
        "event": "no-answer",
        "index": 0,
        "error": "connection closed without an answer",
        "healthy": False,
    }
    found = report([*START, failed, EXITED], SAMPLE, OTHER)

    why = (
        "the container ended",
        "connection closed without an answer",
        "afterwards GET / did not answer 200 again",
        "request: POST /score, 16 bytes",
        '    {"data": [1, 2]}',
        "answer: none",
        "wanted: status 200, and in the answer (numbers within 1e-06)",
        '    {"predictions": [1.0, 2.5]}',
    )
    assert (
        *PASSED_START,
        Check(name="sample-request.json", outcome="failed", details=why),
        Check(name="other.json", outcome="not made"),
        Check(name="malformed body", outcome="not made"),
    ) == found.checks


@pytest.mark.parametrize(
    ("event", "line"),
    [
        pytest.param(
            {"status": 404, "error": None},
            "GET /swagger.json: wanted status 200, got 404 Not Found",
            id="404",
        ),
        pytest.param(
            {"status": None, "error": "no answer within 5 s"},
            "GET /swagger.json: wanted status 200, got no answer within 5 s",
            id="no answer",
        ),
    ],
)
def test_no_swagger(event: Event, line: str) -> None:
    """What /swagger.json answered instead is told."""
    found = report([*START[:3], {"event": "swagger", **event}, MALFORMED, DONE])

    assert Check(name="swagger.json", outcome="failed", details=(line,)) == found.checks[1]


def test_a_deadly_malformed_body() -> None:
    """A malformed body that the server does not survive fails the test."""
    malformed = {
        **MALFORMED,
        "status": None,
        "error": "connection closed without an answer",
        "healthy": False,
    }
    found = report([*START, malformed, EXITED], exited=111, log=USERS)

    why = (
        "the container ended with exit code 111",
        "POST /score with the body {",
        "answer: connection closed without an answer",
        "afterwards GET / did not answer 200 again",
    )
    assert Check(name="malformed body", outcome="failed", details=why) == found.checks[2]
    assert USERS == found.traceback


def test_a_malformed_body_that_restarts_the_worker() -> None:
    """A worker that dies of it and comes back is worth a warning."""
    malformed = {**MALFORMED, "status": None, "error": "connection closed without an answer"}
    found = report([*START, malformed, DONE])

    assert ("malformed body: connection closed without an answer; the server came back",) == found.warnings
    assert found.passed


def test_the_servers_own_traceback() -> None:
    """Where run() returned what has no JSON form, the last traceback explains it, whoever's it is."""
    found = report([*START, answer(status=500), DONE], SAMPLE, log=f"{USERS}\n\n{SERVERS}")

    assert SERVERS == found.traceback


def test_answers_that_vary() -> None:
    """Answers may vary as long as each holds what is wanted."""
    changed = {"repeat": 2, "status": 200, "headers": HEADERS, **told(b'{"predictions": [1, 2.5], "id": 2}')}
    found = report([*START, answer(changed=changed), MALFORMED, DONE], SAMPLE)

    latency = Latency(
        name="sample-request.json", status=200, p50=0.00386, p95=0.004132, repeats=3, same=False
    )
    assert (latency,) == found.latencies
    expected = """\
train:1.4.0 serves: it passed its smoke test (sha256:5f1c2d3e4f5a, through 127.0.0.1:49153).
    ready after 1.1 s
    sample-request.json: 200 in p50 4 ms, p95 4 ms of 3, not always the same answer"""
    assert expected == text(found)


EXCHANGE = ("request: POST /score, 16 bytes", '    {"data": [1, 2]}')
WANTED = ("wanted: status 200, and in the answer (numbers within 1e-06)", '    {"predictions": [1.0, 2.5]}')


@pytest.mark.parametrize(
    ("changed", "differences", "shown"),
    [
        pytest.param(
            {"status": 200, "headers": HEADERS, **told(b'{"predictions": [0, 2.5]}')},
            ("repeat 2: $.predictions[0]: wanted 1.0, got 0",),
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
    """A repeat that is not as wanted fails the request, and is the one that is shown."""
    found = details([answer(changed={"repeat": 2, **changed})])

    assert (*differences, *EXCHANGE, *shown, *WANTED) == found


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(
            b"a" * 2001, ("answer: 200 OK, 2,001 bytes", f"    {'a' * 2000}", "    (and so on)"), id="long"
        ),
        pytest.param(
            b"\x89PNG\r\n\x1a\n",
            ("answer: 200 OK, 8 bytes", "    (no text; its first bytes: 89 50 4e 47 0d 0a 1a 0a)"),
            id="an image",
        ),
        pytest.param(
            b"\x1b[2J",
            ("answer: 200 OK, 4 bytes", "    (no text; its first bytes: 1b 5b 32 4a)"),
            id="control",
        ),
        pytest.param("é\n\t模".encode(), ("answer: 200 OK, 7 bytes", "    é", "    \t模"), id="text"),
    ],
)
def test_bodies(body: bytes, shown: tuple[str, ...]) -> None:
    """A body is shown as far as it is text, and not without end."""
    found = details([answer(body)], SAMPLE._replace(expect=1))[3:-2]

    assert shown == found


def test_many_differences() -> None:
    """Differences are told up to a number that a person reads."""
    wanted = SAMPLE._replace(expect=[1] * 25)
    found = details([answer(json.dumps([0] * 25).encode())], wanted)[:21]

    assert (*(f"$[{index}]: wanted 1, got 0" for index in range(20)), "and 5 more differences") == found


def test_notes_of_a_pass() -> None:
    """What is odd in an answer that is as wanted becomes a warning."""
    wanted = SAMPLE._replace(expect=UNSET)
    found = report(
        [*START, answer(b""), answer(b'"[1]"', index=1), MALFORMED, DONE], wanted, wanted._replace(name="b")
    )

    hint = (
        "the answer is a JSON string that holds JSON: run() returned json.dumps(…); return the object itself"
    )
    assert ("sample-request.json: the answer is empty", f"b: {hint}") == found.warnings
    assert found.passed


def test_nothing_expected() -> None:
    """Where no body is wanted, only the status is."""
    found = details([answer(b"no", status=404)], SAMPLE._replace(expect=UNSET))

    answered = ("answer: 404 Not Found, 2 bytes", "    no")
    assert ("wanted status 200, got 404 Not Found", *EXCHANGE, *answered, "wanted: status 200") == found
