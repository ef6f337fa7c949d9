"""`invoke image.smoke-test` on a real engine: what each kind of image and request leads to, word for word."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.support import Consumer, consumer, environment_of, normal, removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client

# Where it sleeps, it plays the code that takes long; no test waits by sleeping.
SCORE = '''\
"""What init() and run() do is decided by the container's environment and by the request."""

import json
import os
import signal
import time

from azureml_inference_server_http.api.aml_response import AMLResponse

HOW = os.environ.get("HOW", "")
calls = []

if HOW == "import fails":
    import no_such_module


def init():
    if HOW == "init fails":
        raise ValueError("the weights are not here")
    if HOW == "init is slow":
        time.sleep(0.5)  # This is the slow start itself, as of a model that is loaded.
    if HOW == "init never ends":
        time.sleep(600)  # Longer than any test waits: the test is of a start that never ends.


def run(raw):
    try:
        asked = json.loads(raw)
    except ValueError:
        if HOW == "malformed ends the container":
            end({})
        if HOW == "malformed ends the worker":
            os.kill(os.getpid(), signal.SIGKILL)
        raise
    return globals()[asked["do"].replace(" ", "_")](asked)


def echo(asked):
    return asked.get("value")


def dump(asked):
    return json.dumps(asked["value"])


def count(asked):
    calls.append(asked)
    return {"calls": len(calls)}


def look_up(asked):
    return {}["age"]


def make_a_set(asked):
    return {1, 2}


def refuse(asked):
    return AMLResponse({"message": "no flowers"}, 400, json_str=True)


def wait(asked):
    time.sleep(asked["seconds"])  # This is the slow answer itself, which the test asks for.


def variables(asked):
    return {name: os.environ.get(name) for name in asked["names"]}


def eat(asked):
    # Every page is written to, so that all of it is there at once.
    bytearray(asked["megabytes"] * 2**20)[:: 4096] = b"x" * (asked["megabytes"] * 2**8)


def end(asked):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)  # No answer may come first; the container's end ends this.
'''

PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A smoke test: its table, its exit code, and its report, which is on stdout for a pass, else on stderr."""

    name: str
    table: str
    code: int
    told: str


CASES = (
    Case(
        name="it serves",
        table="""\
requests = [
  { body = { do = "echo", value = { a = [1.0, true], b = 0 } }, expect = { a = [1.0000001, true] } },
  { body = { do = "echo", value = 1.01 }, expect = 1, tolerance = 0.1 },
  { body = { do = "dump", value = { a = 1 } } },
  { body = { do = "refuse" }, status = 400, expect = { message = "no flowers" } },
  { body = {}, path = "/nowhere", status = 404 },
  { body = { do = "count" } },
  { body = { do = "variables", names = ["HOW"] }, expect = { HOW = 'init is slow, "quoted" $HOME' } },
]
env = { HOW = 'init is slow, "quoted" $HOME' }
repeat = 3
""",
        code=0,
        told="""\
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
        name="nothing is asked",
        table="",
        code=0,
        told="""\
NAME:1.0 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB
""",
    ),
    Case(
        name="init() raises",
        table="""\
env = { HOW = "init fails" }
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).

Failed: start-up
    the container exited with code 111
    GET / did not answer 200
    last try: …

Not run: swagger.json, malformed body

In the container's log:
    Traceback (most recent call last):
      …
      File "/var/azureml-app/score.py", line 19, in init
        raise ValueError("the weights are not here")
    ValueError: the weights are not here

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="the import fails",
        table="""\
env = { HOW = "import fails" }
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).

Failed: start-up
    the container exited with code 111
    GET / did not answer 200
    last try: …

Not run: swagger.json, malformed body

In the container's log:
    Traceback (most recent call last):
      …
      File "/var/azureml-app/score.py", line 14, in <module>
        import no_such_module
    ModuleNotFoundError: No module named 'no_such_module'

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="init() is too slow",
        table="""\
env = { HOW = "init never ends" }
start-timeout = 1
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    peak memory N MiB

Failed: start-up
    GET / did not answer 200 within TIME
    last try: …

Not run: swagger.json, malformed body

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
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
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB

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

Not run: malformed body

The log: …

Warning: the kernel killed a process in the container because memory ran out (200m)

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="run() raises",
        table="""\
requests = [{ body = { do = "look up" } }, { body = { do = "echo" } }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    request 2: 200 in p50 TIME, p95 TIME of 10
    peak memory N MiB

Failed: request 1
    expected status 200, got 500 Internal Server Error
    run() raised an exception (header x-ms-run-function-failed: True); the log has its traceback
    request: POST /score, 17 bytes
        {"do": "look up"}
    answer: 500 Internal Server Error, 92 bytes
        {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}
    expected: status 200

Not run: malformed body

In the container's log:
    Traceback (most recent call last):
      …
      File "/var/azureml-app/score.py", line 35, in run
        return globals()[asked["do"].replace(" ", "_")](asked)
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      File "/var/azureml-app/score.py", line 52, in look_up
        return {}["age"]
               ~~^^^^^^^
    KeyError: 'age'

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="run() returns text",
        table="""\
requests = [{ body = { do = "dump", value = { a = 1 } }, expect = { a = 1 } }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB

Failed: request 1
    the answer is a JSON string that holds the expected JSON: run() returned json.dumps(…); return the object itself
    request: POST /score, 33 bytes
        {"do": "dump", "value": {"a": 1}}
    answer: 200 OK, 12 bytes
        "{\\"a\\": 1}"
    expected: status 200, and in the answer (numbers within 1e-06)
        {"a": 1}

The log (its last request is this test's malformed body): …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="no JSON form",
        table="""\
requests = [{ body = { do = "make a set" } }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB

Failed: request 1
    expected status 200, got 500 Internal Server Error
    run() returned a value that JSON cannot hold; of a NumPy array, return array.tolist()
    request: POST /score, 20 bytes
        {"do": "make a set"}
    answer: 500 Internal Server Error, 83 bytes
        {"message": "An unexpected internal error occurred. Check the logs for more info."}
    expected: status 200

Not run: malformed body

In the container's log:
    Traceback (most recent call last):
      …
    TypeError: Object of type set is not JSON serializable

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="a wrong answer",
        table="""\
requests = [
  { body = { do = "echo", value = { a = [1, true, 3], b = 1.01 } }, expect = { a = [1, 1, 3], b = 1, d = 0 } },
]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB

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

The log (its last request is this test's malformed body): …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="an unwanted 400",
        table="""\
requests = [{ body = { do = "refuse" } }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB

Failed: request 1
    expected status 200, got 400 Bad Request
    request: POST /score, 16 bytes
        {"do": "refuse"}
    answer: 400 Bad Request, 25 bytes
        {"message": "no flowers"}
    expected: status 200

Not run: malformed body

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="files",
        table="""\
requests = [{ file = "request.json", expect-file = "wanted.json" }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB

Failed: request.json
    $.größe: expected 2, got 1
    request: POST /score, 41 bytes
        { "do":
         "echo", "value": {"größe": 1}}
    answer: 200 OK, 22 bytes
        {"gr\\u00f6\\u00dfe": 1}
    expected: status 200, and in the answer (numbers within 1e-06)
        {"größe": 2}

The log (its last request is this test's malformed body): …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="no answer in time",
        table="""\
requests = [{ body = { do = "wait", seconds = 1 }, request-timeout = 0.2 }, { body = { do = "echo" } }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    request 2: 200 in p50 TIME, p95 TIME of 10
    peak memory N MiB

Failed: request 1
    no answer within N s
    request: POST /score, 28 bytes
        {"do": "wait", "seconds": 1}
    answer: none
    expected: status 200

Not run: malformed body

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="a request ends the container",
        table="""\
requests = [{ body = { do = "end" } }, { body = { do = "echo" } }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME

Failed: request 1
    the container exited with code 111
    connection closed without an answer
    afterwards GET / did not answer 200 again
    request: POST /score, 13 bytes
        {"do": "end"}
    answer: none
    expected: status 200

Not run: request 2, malformed body

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="a malformed body ends the container",
        table="""\
env = { HOW = "malformed ends the container" }
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME

Failed: malformed body
    the container exited with code 111
    POST /score with the body {
    answer: connection closed without an answer
    afterwards GET / did not answer 200 again

The log: …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
    Case(
        name="a malformed body ends the worker",
        table="""\
env = { HOW = "malformed ends the worker" }
""",
        code=0,
        told="""\
NAME:1.0 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB
""",
    ),
    Case(
        name="the answers differ",
        table="""\
requests = [{ body = { do = "count" }, expect = { calls = 1 } }]
""",
        code=5,
        told="""\
NAME:1.0 failed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    peak memory N MiB

Failed: request 1
    repeat 2: $.calls: expected 1, got 2
    request: POST /score, 15 bytes
        {"do": "count"}
    answer: 200 OK, 12 bytes
        {"calls": 2}
    expected: status 200, and in the answer (numbers within 1e-06)
        {"calls": 1}

The log (its last request is this test's malformed body): …

Look inside: docker run --rm -it --entrypoint bash ID
Nothing was pushed.
""",
    ),
)

FILES = {
    "request.json": '{ "do":\n "echo", "value": {"größe": 1}}',
    "wanted.json": '{"größe": 2}',
}


@pytest.fixture(scope="module")
def project(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """A project that is built, and whose image does what it is asked to."""
    folder, name = tmp_path_factory.mktemp("project"), unique("smoke")
    files = {"pyproject.toml": PROJECT.format(name=name, base=amlenv_base), "code/score.py": SCORE}
    made = consumer(folder / name, files, environment_of(clients["20.10"], folder))
    with removed_after(docker_client, f"{name}:1.0"):
        done = made.invoke("image.build")
        assert (0, f"{name}:1.0\n") == (done.code, done.stdout), done.stderr
        yield made


@pytest.fixture(autouse=True)
def nothing_is_left(docker_client: docker.DockerClient, project: Consumer) -> Iterator[None]:
    """Whatever happens in a test, its containers are gone at its end, also those that have ended."""
    yield

    built_from: dict[str, str | list[str] | bool] = {"ancestor": f"{project.folder.name}:1.0"}
    assert docker_client.containers.list(all=True, filters=built_from) == []


def asking(
    project: Consumer, folder: Path, smoke_test: str, files: Mapping[str, str | bytes] | None = None
) -> Consumer:
    """The same project with the same image, another smoke test and more files."""
    shutil.copytree(project.folder, folder / project.folder.name)
    text = (project.folder / "pyproject.toml").read_text(encoding="utf-8")
    table = f"{text}\n[tool.azureml-image.smoke-test]\n{smoke_test}"
    return consumer(folder / project.folder.name, {**(files or {}), "pyproject.toml": table}, project.env)


def report(text: str, name: str) -> str:
    """A report without what differs from run to run, or with a package's version.

    Of the log only that it is there, and of a traceback the user's frames.
    """
    for pattern, word in (
        (r"(?s)^.*? at most\n(  \d+\.\d s: [^\n]*\n)+", ""),
        (r"(ready after|p50|p95|200 within|took) \d+(\.\d+)? m?s", r"\1 TIME"),
        (r"peak memory \d+ MiB", "peak memory N MiB"),
        (
            r"(?s)\n(?:The container's log|The last 40 of [^\n]*?)( \(.*?\))?:\n.*?\n\n(?=Warning|Look)",
            r"\nThe log\1: …\n\n",
        ),
        (r'( {6}File "/(?!var/azureml-app/).*\n( {8}.*\n)*| {6}File "<frozen.*\n)+', "      …\n"),
        (r"last try: (502 Bad Gateway|connection .*|no answer within 2 s)", "last try: …"),
        (r"nginx/[\d.]+", "nginx"),
        (r"--entrypoint bash [0-9a-f]{12}", "--entrypoint bash ID"),
    ):
        text = re.sub(pattern, word, text)
    return normal(text, {name: "NAME"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_report(case: Case, project: Consumer, tmp_path: Path) -> None:
    """Each kind of image and request has its exit code and its report, and its container is gone."""
    done = asking(project, tmp_path, case.table, FILES).invoke("image.smoke-test")

    out, err = (report(text, project.folder.name) for text in (done.stdout, done.stderr))
    assert (case.code, *(("", case.told) if case.code else (case.told, ""))) == (done.code, out, err)


def test_record_of_a_pass(project: Consumer, tmp_path: Path) -> None:
    """A pass is recorded with the image's id, the smoke test's hash and all that was found, peak memory included."""
    table = 'requests = [{ body = { do = "eat", megabytes = 300 } }]\nrepeat = 2\n'
    asked = asking(project, tmp_path, table)
    done = asked.invoke("image.smoke-test")
    assert done.code == 0, done.stderr
    found = asked.record("smoke-test.json")
    image_id = asked.record("build.json")["id"]
    peak = found["smoke"].pop("peak_memory")
    place = re.sub(r"\d+$", "PORT", found["smoke"].pop("place"))

    check = {"outcome": "passed", "details": [], "seconds": 0.0}
    expected = {
        "id": image_id,
        "smoke_test_sha256": "0" * 64,
        "smoke": {
            "passed": True,
            "image": f"{project.folder.name}:1.0",
            "image_id": image_id,
            "checks": [
                {**check, "name": name}
                for name in ("start-up", "swagger.json", "request 1", "malformed body")
            ],
            "latencies": [
                {"name": "request 1", "status": 200, "p50": 0.0, "p95": 0.0, "repeats": 2, "same": True}
            ],
            "started": 0.0,
            "warnings": [],
            "exit_code": None,
        },
    }
    assert expected == without_times(
        {**found, "smoke_test_sha256": re.sub("[0-9a-f]", "0", found["smoke_test_sha256"])}
    )
    assert place == "through 127.0.0.1:PORT"
    assert 300 * 2**20 < peak < 1000 * 2**20
    assert asked.records() == [".gitignore", "build.json", "smoke-test.json"]


def without_times(found: Any) -> Any:
    """A record with every time as 0."""
    if isinstance(found, dict):
        return {name: without_times(value) for name, value in found.items()}
    if isinstance(found, list):
        return [without_times(value) for value in found]
    return 0.0 if isinstance(found, float) else found


def test_a_failure_is_written_as_junit_and_ends_an_earlier_pass(project: Consumer, tmp_path: Path) -> None:
    """With --junit a CI server gets every check; and an image that fails has not passed, whatever it did before."""
    asked = asking(project, tmp_path, 'requests = [{ body = { do = "look up" } }]\n')
    (asked.folder / ".azureml-image" / "smoke-test.json").write_text("{}", encoding="utf-8")
    done = asked.invoke("image.smoke-test", "--junit", "report.xml")
    suite = ET.parse(asked.folder / "report.xml").getroot()  # what we wrote  # written by the command above
    cases = [(case.get("name"), [child.tag for child in case]) for case in suite.iter("testcase")]

    expected = [
        ("start-up", []),
        ("swagger.json", []),
        ("request 1", ["failure"]),
        ("malformed body", ["skipped"]),
    ]
    assert (5, expected) == (done.code, cases)
    assert asked.records() == [".gitignore", "build.json"]


@pytest.mark.parametrize(
    ("by", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_a_signal(by: signal.Signals, code: int, word: str, project: Consumer, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM end the wait for a slow init(): no container and no pass are left."""
    asked = asking(project, tmp_path, 'env = { HOW = "init never ends" }\n')
    done = asked.interrupted("image.smoke-test", at="310 s at most", by=by)

    expected = (code, "", f"{word}; Everything that was started has been stopped and removed.")
    assert expected == (done.code, done.stdout, done.stderr.splitlines()[-1])
    assert asked.records() == [".gitignore", "build.json"]


def test_a_second_signal(docker_client: docker.DockerClient, project: Consumer, tmp_path: Path) -> None:
    """A second signal does not cut short what the first one began: the container is removed."""
    asked = asking(project, tmp_path, 'env = { HOW = "init never ends" }\n')
    image_id = asked.record("build.json")["id"]
    events = docker_client.events(decode=True, filters={"event": ["start", "kill"], "image": image_id})
    with (
        closing(events),
        subprocess.Popen(
            [sys.executable, "-m", "invoke", "image.smoke-test"],
            cwd=asked.folder,
            env=dict(asked.env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as running,
    ):
        assert next(events)["Action"] == "start"
        running.send_signal(signal.SIGINT)
        assert next(events)["Action"] == "kill"
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate()

    assert running.returncode == 130
    assert err.splitlines()[-1] == "Interrupted. Everything that was started has been stopped and removed."
