"""`invoke image.smoke-test` on a real engine: the whole report for each kind of image and request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.real.smoke_image import with_smoke_test, without_variations

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.support import Consumer

pytestmark = pytest.mark.usefixtures("no_container_is_left")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A smoke test: its table, its exit code and its report, which is on stdout for a pass and on stderr otherwise."""

    name: str
    table: str
    code: int
    report: str


CASES = (
    Case(
        name="the image serves",
        table="""\
requests = [
  { body = { do = "echo", value = { a = [1.0, true], b = 0 } }, expect = { a = [1.0000001, true] } },
  { body = { do = "echo", value = 1.01 }, expect = 1, tolerance = 0.1 },
  { body = { do = "dump", value = { a = 1 } } },
  { body = { do = "refuse" }, status = 400, expect = { message = "no flowers" } },
  { body = {}, path = "/nowhere", status = 404 },
  { body = { do = "count" } },
  { body = { do = "variables", names = ["HOW"] }, expect = { HOW = 'in words, "quoted" $HOME' } },
]
env = { HOW = 'in words, "quoted" $HOME' }
repeat = 3
""",
        code=0,
        report="""\
NAME:1.0 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    request 1: 200 in p50 TIME, p95 TIME of 3
    request 2: 200 in p50 TIME, p95 TIME of 3
    request 3: 200 in p50 TIME, p95 TIME of 3
    request 4: 400 in p50 TIME, p95 TIME of 3
    request 5: 404 in p50 TIME, p95 TIME of 3
    request 6: 200 in p50 TIME, p95 TIME of 3, not always the same answer
    request 7: 200 in p50 TIME, p95 TIME of 3
    peak memory N MiB
Warning: request 3: the answer is a JSON string that holds JSON: run() returned json.dumps(…); return the object itself
""",
    ),
    Case(
        name="the import fails",
        table="""\
env = { HOW = "import fails" }
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
Not run: swagger.json, malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: start-up
    the container exited with code 111
    GET / did not answer 200
    last try: …

In the container's log:
    Traceback (most recent call last):
      …
      File "/var/azureml-app/score.py", line 14, in <module>
        import no_such_module
    ModuleNotFoundError: No module named 'no_such_module'
""",
    ),
    Case(
        name="init() is too slow",
        table="""\
env = { HOW = "init never ends" }
start-timeout = 1
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    peak memory N MiB
Not run: swagger.json, malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: start-up
    GET / did not answer 200 within TIME
    last try: …

The log: …
""",
    ),
    Case(
        name="memory runs out",
        table="""\
requests = [{ body = { do = "eat", megabytes = 300 } }]
memory = "200m"
repeat = 1
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB
Warning: the kernel killed a process in the container because memory ran out (200m)
Not run: malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: request 1
    expected status 200, got 502 Bad Gateway
    the image's web server got no answer from the scoring server behind it
    request: POST /score, 31 bytes
        {"do": "eat", "megabytes": 300}
    answer: 502 Bad Gateway, 157 bytes
        <html>
        <head><title>502 Bad Gateway</title></head>
        <body>
        <center><h1>502 Bad Gateway</h1></center>
        <hr><center>nginx</center>
        </body>
        </html>
    expected: status 200

The log: …
""",
    ),
    Case(
        name="run() raises, and no answer comes in time",
        table="""\
requests = [
  { body = { do = "look up" } },
  { body = { do = "echo" } },
  { body = { do = "wait", seconds = 1 }, request-timeout = 0.2 },
]
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    request 2: 200 in p50 TIME, p95 TIME of 10
    peak memory N MiB
Not run: malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: request 1
    expected status 200, got 500 Internal Server Error
    run() raised an exception (header x-ms-run-function-failed: True); the log has its traceback
    request: POST /score, 17 bytes
        {"do": "look up"}
    answer: 500 Internal Server Error, 92 bytes
        {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}
    expected: status 200

Failed: request 3
    no answer within N s
    request: POST /score, 28 bytes
        {"do": "wait", "seconds": 1}
    answer: none
    expected: status 200

In the container's log:
    Traceback (most recent call last):
      …
      File "/var/azureml-app/score.py", line 31, in run
        return globals()[request["do"].replace(" ", "_")](request)
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      File "/var/azureml-app/score.py", line 48, in look_up
        return {}["age"]
               ~~^^^^^^^
    KeyError: 'age'
""",
    ),
    Case(
        name="no JSON form",
        table="""\
requests = [{ body = { do = "make a set" } }]
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB
Not run: malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: request 1
    expected status 200, got 500 Internal Server Error
    run() returned a value that JSON cannot hold; of a NumPy array, return array.tolist()
    request: POST /score, 20 bytes
        {"do": "make a set"}
    answer: 500 Internal Server Error, 83 bytes
        {"message": "An unexpected internal error occurred. Check the logs for more info."}
    expected: status 200

In the container's log:
    Traceback (most recent call last):
      …
    TypeError: Object of type set is not JSON serializable
""",
    ),
    Case(
        name="wrong answers",
        table="""\
requests = [
  { body = { do = "echo", value = { a = [1, true, 3], b = 1.01 } }, expect = { a = [1, 1, 3], b = 1, d = 0 } },
  { body = { do = "dump", value = { a = 1 } }, expect = { a = 1 } },
  { body = { do = "count" }, expect = { calls = 1 } },
  { file = "request.json", expect-file = "expected.json" },
  { body = { do = "refuse" } },
]
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB
Not run: malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: request 1
    $.a[1]: expected 1, got true
    $.b: expected 1, got 1.01
    $.d: expected 0, got nothing
    request: POST /score, 55 bytes
        {"do": "echo", "value": {"a": [1, true, 3], "b": 1.01}}
    answer: 200 OK, 30 bytes
        {"a": [1, true, 3], "b": 1.01}
    expected: status 200, and in the answer (numbers within 1e-06)
        {"a": [1, 1, 3], "b": 1, "d": 0}

Failed: request 2
    the answer is a JSON string that holds the expected JSON: run() returned json.dumps(…); return the object itself
    request: POST /score, 33 bytes
        {"do": "dump", "value": {"a": 1}}
    answer: 200 OK, 12 bytes
        "{\\"a\\": 1}"
    expected: status 200, and in the answer (numbers within 1e-06)
        {"a": 1}

Failed: request 3
    repeat 2: $.calls: expected 1, got 2
    request: POST /score, 15 bytes
        {"do": "count"}
    answer: 200 OK, 12 bytes
        {"calls": 2}
    expected: status 200, and in the answer (numbers within 1e-06)
        {"calls": 1}

Failed: request.json
    $.größe: expected 2, got 1
    request: POST /score, 41 bytes
        { "do":
         "echo", "value": {"größe": 1}}
    answer: 200 OK, 22 bytes
        {"gr\\u00f6\\u00dfe": 1}
    expected: status 200, and in the answer (numbers within 1e-06)
        {"größe": 2}

Failed: request 5
    expected status 200, got 400 Bad Request
    request: POST /score, 16 bytes
        {"do": "refuse"}
    answer: 400 Bad Request, 25 bytes
        {"message": "no flowers"}
    expected: status 200
""",
    ),
    Case(
        name="a request ends the container",
        table="""\
requests = [{ body = { do = "end" }, request-timeout = 60 }, { body = { do = "echo" } }]
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
Not run: request 2, malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: request 1
    the container exited with code 111
    connection closed without an answer
    afterwards GET / did not answer 200 again
    request: POST /score, 13 bytes
        {"do": "end"}
    answer: none
    expected: status 200

The log: …
""",
    ),
    Case(
        name="a malformed body ends the container",
        table="""\
requests = [{ body = { do = "echo" }, request-timeout = 60 }]
repeat = 1
env = { HOW = "malformed ends the container" }
""",
        code=5,
        report="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    request 1: 200 in p50 TIME, p95 TIME of 1
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: malformed body
    the container exited with code 111
    POST /score with the body {
    answer: connection closed without an answer
    afterwards GET / did not answer 200 again

The log: …
""",
    ),
    Case(
        name="no request is set, and a malformed body ends the worker",
        table="""\
env = { HOW = "malformed ends the worker" }
""",
        code=0,
        report="""\
NAME:1.0 passed its smoke test (sha256:ID, through 127.0.0.1:PORT): only start-up was proven (no request).
    ready after TIME
    peak memory N MiB
""",
    ),
)

FILES = {
    "request.json": '{ "do":\n "echo", "value": {"größe": 1}}',
    "expected.json": '{"größe": 2}',
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_report(case: Case, smoke_project: Consumer, tmp_path: Path) -> None:
    """Each kind of image and request has its exit code and its report."""
    ended = with_smoke_test(smoke_project, tmp_path, case.table, FILES).invoke("image.smoke-test")

    out, err = (without_variations(text, smoke_project.folder.name) for text in (ended.stdout, ended.stderr))
    assert (case.code, *(("", case.report) if case.code else (case.report, ""))) == (ended.code, out, err)
