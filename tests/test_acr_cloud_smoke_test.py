"""The smoke test in the cloud: what travels for it, what it does there, and what of it comes back through a log."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.engines.acr.cloud_smoke_test import report_from_events, smoke_test_files
from azureml_tasks.in_image import default_score, probe, probe_in_acr
from azureml_tasks.plain_text import clean
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from azureml_tasks.smoke.container_protocol import FIND_PYTHON
from azureml_tasks.smoke.event_lines import EventCollector, event_marker
from tests.acr_plans import plan
from tests.http_server import Behaviour, serving

MARK = "azureml-image-smoke-test-5f5f5f5f5f5f5f5f"
LONGEST = 16 * 1024
"""Docker's log drivers break lines there."""

Event = dict[str, Any]


# Files


def request(body: bytes = b"[1]", *, status: int = 200) -> SmokeTestRequest:
    """Return a request of a smoke test."""
    return SmokeTestRequest(
        name="request 1", path="/score", body=body, status=status, expect=None, tolerance=1e-6, timeout=5.0
    )


SMOKE_TEST = SmokeTestPlan(requests=(request(),), start_timeout=60.0, repeat=2, sha256="5f" * 32)


def source_of(module: Any) -> bytes:
    """Return the source of a script that runs in the image."""
    return Path(module.__file__).read_bytes()


@pytest.mark.parametrize("has_code", [True, False])
def test_the_folder_of_the_smoke_test(has_code: bool) -> None:
    """Scripts, input and, for an image without code, an entry script are in a folder that no COPY names."""
    smoke_test = SMOKE_TEST._replace(default_script=not has_code)

    files = smoke_test_files(smoke_test)

    contents = {file.name: file.data for file in files}
    config = json.loads(contents.pop(".azureml-image/probe.json"))
    assert {
        "base_url": "http://server:5001",
        "start_timeout": 60.0,
        "try_timeout": 2.0,
        "repeat": 2,
        "health": "/",
        "scoring": "/score",
        "swagger": True,
        "malformed": True,
        "requests": [
            {
                "method": "POST",
                "path": "/score",
                "headers": {"Content-Type": "application/json"},
                "body": "WzFd",
                "timeout": 5.0,
                "status": 200,
            }
        ],
        "container": "server",
        "marker": MARK,
        "limit": 1024 * 1024,
        **({} if has_code else {"stand_in": True}),
    } == config
    assert {
        ".azureml-image/": b"",
        ".azureml-image/probe_in_acr.py": source_of(probe_in_acr),
        ".azureml-image/probe.py": source_of(probe),
        ".azureml-image/probe.sh": f'exec "{FIND_PYTHON}" -I /workspace/.azureml-image/probe_in_acr.py '
        "/workspace/.azureml-image/probe.json\n".encode(),
        **({} if has_code else {".azureml-image/default_score.py": source_of(default_score)}),
    } == contents
    assert [len(file.data) for file in files] == [file.size for file in files]


def test_the_same_smoke_test_is_the_same_files() -> None:
    """The files of a smoke test are the same in each run."""
    assert smoke_test_files(SMOKE_TEST) == smoke_test_files(SMOKE_TEST)


# Events in a log

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
NAMES = st.fixed_dictionaries({"event": st.text()})
EVENTS = st.lists(
    st.tuples(st.dictionaries(st.text(), JSON, max_size=4), NAMES).map(lambda both: {**both[0], **both[1]}),
    max_size=4,
)


def printed(events: Sequence[Event], mark: str = MARK) -> list[str]:
    """Return the lines of *events*."""
    return [line for number, event in enumerate(events) for line in probe_in_acr.frames(mark, number, event)]


def collected(lines: Sequence[str], mark: str = MARK) -> list[Event]:
    """Return the events in *lines*."""
    collector = EventCollector(marker=mark)
    for line in lines:
        collector.collect(line)
    return collector.events()


@given(events=EVENTS)
def test_any_events_come_back(events: list[Event]) -> None:
    """Any JSON is read back unchanged, from lines without control characters."""
    lines = printed(events)

    assert lines == [clean(line) for line in lines]
    assert events == collected(lines)


LONG = {
    "event": "container",
    "log": "".join(map(chr, range(0x4E00, 0x9FFF))) * 2,
    "nested": [None, {"a": 1.5}],
}
SHORT = {"event": "done", "seconds": 1.5}


def test_long_events_are_many_lines() -> None:
    """A long event is printed in parts that are shorter than the lines of Docker's logs."""
    lines = printed([SHORT, LONG, SHORT])

    assert len(lines) > 6
    assert max(map(len, lines)) < LONGEST
    assert [SHORT, LONG, SHORT] == collected(lines)


def test_other_lines_between_do_not_matter() -> None:
    """Other lines between the parts are not collected."""
    collector = EventCollector(marker=MARK)
    other_lines = [
        "",
        "2026/11/25 10:00:00 Launching container with name: smoke-test",
        f" {MARK} 0 1/1 x",
        MARK[:-1],
    ]

    collected_lines = {
        line: collector.collect(line) for part in printed([LONG, SHORT]) for line in (*other_lines, part)
    }

    assert {line: line not in other_lines for line in collected_lines} == collected_lines
    assert [LONG, SHORT] == collector.events()


def test_another_smoke_test_is_not_taken() -> None:
    """A report counts for the smoke test whose mark it bears, and for no other; without a mark none is taken."""
    other = event_marker(SmokeTestPlan(sha256="6e" * 32))

    lines = [*printed([SHORT], other), *printed([LONG])]

    assert [LONG] == collected(lines)
    assert [SHORT] == collected(lines, other)
    assert ([], False) == (collected(lines, ""), EventCollector().collect(lines[0]))


BROKEN: Mapping[str, Callable[[list[str]], list[str]]] = {
    "a part is missing": lambda lines: [*lines[:2], *lines[3:]],
    "the first part is missing": lambda lines: [lines[0], *lines[2:]],
    "the end is missing": lambda lines: lines[:3],
    "a part is cut": lambda lines: [lines[0], lines[1][:-7], *lines[2:]],
    "a part is another": lambda lines: [lines[0], lines[1].replace("1/", "9/", 1), *lines[2:]],
    "no base64": lambda lines: [lines[0], f"{MARK} 1 1/1 ***", *lines[2:]],
    "no deflated JSON": lambda lines: [lines[0], f"{MARK} 1 1/1 AAAA"],
    "no JSON": lambda lines: [lines[0], f"{MARK} 1 1/1 eJwDAAAAAAE="],
    "a number is missing": lambda lines: [lines[0], *printed([SHORT, SHORT, SHORT])[2:]],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_did_not_come_whole(name: str) -> None:
    """Events count up to the first that did not come whole: what follows it would be told without its beginning."""
    lines = printed([SHORT, LONG, SHORT])

    assert [SHORT] == collected(BROKEN[name](lines))


def test_nothing_is_judged_without_the_closing_event() -> None:
    """Events count only up to a log's closing event, whatever was lost behind them; what came before them does not."""
    closing = {"event": "container", "running": True}
    forged, lines = printed([SHORT, SHORT, closing]), printed([SHORT, closing])
    whole, cut, none = EventCollector(marker=MARK), EventCollector(marker=MARK), EventCollector(marker=MARK)
    for line in [*forged, *lines]:
        whole.collect(line)
    for line in lines[:1]:
        cut.collect(line)

    assert ([SHORT, closing], False) == (whole.closed_events(), whole.was_cut)
    assert ([], True) == (cut.closed_events(), cut.was_cut)
    assert ([], False) == (none.closed_events(), none.was_cut)


@pytest.mark.parametrize(
    "line",
    [
        MARK,
        f"{MARK} ",
        f"{MARK} 0",
        f"{MARK} 0 1/1",
        f"{MARK} a 1/1 x",
        f"{MARK}0 1/1 x",
        f"{MARK} {'9' * 5000} 1/1 x",
    ],
)
def test_a_line_that_says_nothing(line: str) -> None:
    """A line with the mark and nothing that can be read is taken, and tells nothing."""
    collector = EventCollector(marker=MARK)

    assert (True, []) == (collector.collect(line), collector.events())


def test_nothing_came() -> None:
    """Without a line there is no event."""
    assert [] == EventCollector(marker=MARK).events()


# The report

IMAGE = BuiltImage(
    id="sha256:" + "1" * 64, names=("a:1",), engine="acr", context_sha256="", user="dockeruser", run="ca8"
)
SERVED = (
    {"event": "ready", "seconds": 1.5, "tries": 3},
    {"event": "swagger", "status": 200, "error": None},
    {"event": "malformed", "status": 500, "error": None, "healthy": True},
    {"event": "done", "seconds": 1.6},
)


def container(**more: Any) -> Event:
    """The last event."""
    return {
        "event": "container",
        "seen": True,
        "running": True,
        "exit_code": 0,
        "out_of_memory": False,
        "peak_memory": 2**20,
        "stop": 0.5,
        "log": "a line",
        **more,
    }


@pytest.mark.parametrize(
    ("last", "passed", "exit_code", "warnings"),
    [
        ([container()], True, None, ()),
        ([], True, None, ()),
        (
            [container(stop=10.5)],
            True,
            None,
            ("the container took 10.5 s to stop: its base does not stop its services on request",),
        ),
        (
            [container(out_of_memory=True)],
            True,
            None,
            ("the kernel killed a process in the container because memory ran out (no limit set)",),
        ),
    ],
    ids=["well", "engine cannot be asked", "slow stop", "memory"],
)
def test_what_the_container_shows(
    last: list[Event], passed: bool, exit_code: int | None, warnings: tuple[str, ...]
) -> None:
    """The same report comes of it as of a smoke test on this machine, with the place where it was made."""
    report = report_from_events(plan(), IMAGE, [*SERVED, *last])

    place = "in the cloud, by run ca8"
    assert (passed, exit_code, warnings, place) == (
        report.passed,
        report.exit_code,
        tuple(map(str, report.warnings)),
        report.place,
    )


def test_the_report_of_a_container_that_ended() -> None:
    """The report contains exit code and log of a container that has ended."""
    ended = container(running=False, exit_code=137, peak_memory=None, stop=None, log="Killed")

    report = report_from_events(plan(), IMAGE, [{"event": "exited", "seconds": 2.0}, ended])

    details = ("the container exited with code 137", "GET / did not answer 200")
    assert (False, 137, "Killed", details) == (
        report.passed,
        report.exit_code,
        report.log,
        report.checks[0].details,
    )


# The script in the image


@dataclass(kw_only=True)
class FakeContainer:
    """A container as the engine reports it.

    Args:
        address: in its network.
        state: of the container; empty if the engine does not know it.
        log: pieces of its log, each of stdout or stderr.
        peak: bytes of memory.
        variables: that its image sets.
        requests: the requests to the engine.
    """

    address: str = "127.0.0.1"
    state: Mapping[str, Any] = field(
        default_factory=lambda: {"Running": True, "ExitCode": 0, "OOMKilled": False}
    )
    log: Sequence[bytes] = ()
    peak: int | None = None
    variables: Sequence[str] = ()
    requests: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        """Status and content."""
        self.requests.append(f"{method} {path}")
        if path == "/containers/json":
            others = [
                {"Id": "0" * 12, "NetworkSettings": {"Networks": {"a": {"IPAddress": "172.17.0.9"}}}},
                {"Id": "1"},
            ]
            own = {"Id": "c0ffee", "NetworkSettings": {"Networks": {"b": {"IPAddress": self.address}}}}
            return 200, json.dumps([*others, own]).encode()
        if path == "/images/sha256:2/json":
            return 200, json.dumps({"Config": {"Env": [*self.variables]}}).encode()
        if not self.state:
            return 404, b'{"message": "No such container"}'
        if path.endswith("/json"):
            return 200, json.dumps({"State": self.state, "Image": "sha256:2"}).encode()
        if "/stats?" in path:
            return 200, json.dumps({"memory_stats": {"max_usage": self.peak} if self.peak else {}}).encode()
        if "/logs?" in path:
            return 200, b"".join(b"\1\0\0\0" + len(piece).to_bytes(4, "big") + piece for piece in self.log)
        return 204, b""


class Engine(ThreadingUnixStreamServer):
    """The engine of an agent, behind its socket."""

    daemon_threads = True

    def __init__(self, path: Path, fake: FakeContainer) -> None:
        super().__init__(str(path), EngineHandler)
        self.fake = fake


class EngineHandler(BaseHTTPRequestHandler):
    """Answers for the fake container."""

    server: Engine

    def do_GET(self) -> None:
        """Answer GET and POST alike."""
        status, content = self.server.fake.answer(self.command, self.path)
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


@contextmanager
def engine(path: Path, fake: FakeContainer | None) -> Iterator[None]:
    """Run an engine with this container at *path*; none without a container."""
    if fake is None:
        yield
        return
    with Engine(path, fake) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: a socket's has about 100 characters."""
    path = Path(tempfile.mkdtemp(prefix="smoke-test-"))
    yield path
    shutil.rmtree(path)


def probed(
    folder: Path, url: str, fake: FakeContainer | None, *, host: str = "localhost", **more: Any
) -> tuple[int, list[Event]]:
    """Run the script as an agent does; its exit code and its events, with what differs from run to run as 0.0."""
    socket = folder / "docker.sock"
    own, text = f'SOCKET = "{probe_in_acr.SOCKET}"', source_of(probe_in_acr).decode()
    assert own in text
    (folder / "probe_in_acr.py").write_text(text.replace(own, f'SOCKET = "{socket}"'), "utf-8")
    (folder / "probe.py").write_bytes(source_of(probe))
    config = {
        "base_url": url,
        "start_timeout": 30.0,
        "try_timeout": 20.0,
        "repeat": 2,
        "requests": [],
        "container": host,
        "marker": MARK,
        "limit": 1000,
        **more,
    }
    (folder / "probe.json").write_text(json.dumps(config), "utf-8")
    with engine(socket, fake):
        command = [sys.executable, "-I", "probe_in_acr.py", "probe.json"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert ended.stderr == b""
    return ended.returncode, [normal(event) for event in collected(ended.stdout.decode().splitlines())]


def normal(event: Event) -> Event:
    """An event with its times as 0.0."""
    times = {name: event[name] for name in ("seconds", "stop") if event.get(name) is not None}
    return {
        **event,
        **{name: [0.0] * len(time) if isinstance(time, list) else 0.0 for name, time in times.items()},
    }


def answering(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """What a server does that serves."""
    del method
    return {"/": (200, b"ok"), "/swagger.json": (200, b"{}"), "/score": (200 if body != b"{" else 500, body)}[
        path
    ]


READY: Event = {"event": "ready", "seconds": 0.0, "tries": 1}
SWAGGER: Event = {"event": "swagger", "status": 200, "error": None}
MALFORMED: Event = {"event": "malformed", "status": 500, "error": None, "healthy": True}
DONE: Event = {"event": "done", "seconds": 0.0}
HEADERS = {"x-kind": "one, two"}
SCORE = {
    "method": "POST",
    "path": "/score",
    "headers": {"Content-Type": "application/json"},
    "body": base64.b64encode(b"[1]").decode(),
    "timeout": 20.0,
    "status": 200,
}
ANSWER: Event = {
    "event": "answer",
    "index": 0,
    "status": 200,
    "headers": HEADERS,
    "body": "WzFd",
    "cut": False,
    "seconds": [0.0, 0.0],
}
UNSEEN: Event = {
    "event": "container",
    "seen": False,
    "running": True,
    "exit_code": 0,
    "out_of_memory": False,
    "peak_memory": None,
    "stop": None,
    "log": "",
}


def test_without_an_engine(folder: Path) -> None:
    """Without an engine the requests are sent, and nothing is known about the container."""
    with serving(answering) as server:
        result = probed(folder, server.url, None, requests=[SCORE])

    assert (0, [READY, SWAGGER, ANSWER, MALFORMED, DONE, UNSEEN]) == result


def test_other_methods_and_headers(folder: Path) -> None:
    """A request has its method and its headers in the cloud too."""
    get = {**SCORE, "method": "GET", "path": "/score", "headers": {"X-Team": "a"}, "body": ""}
    with serving(answering) as server:
        code, _ = probed(folder, server.url, None, requests=[get])

    assert (0, 2) == (code, server.requests.count(("GET", "/score", None, b"")))
    assert [headers["x-team"] for headers in server.headers if "x-team" in headers] == ["a", "a"]


def test_with_an_engine(folder: Path) -> None:
    """The container is found by its address; its memory, stop time and log are reported."""
    fake = FakeContainer(log=[b"one\nt", "wo é".encode()[:5], "wo é".encode()[5:], b"\xff\n"], peak=2**28)
    with serving(answering) as server:
        result = probed(folder, server.url, fake)

    last = {
        **UNSEEN,
        "seen": True,
        "peak_memory": 2**28,
        "stop": 0.0,
        "log": "one\ntwo é\N{REPLACEMENT CHARACTER}\n",
    }
    assert (0, [READY, SWAGGER, MALFORMED, DONE, last]) == result
    assert [
        "GET /containers/json",
        "GET /containers/c0ffee/json",
        "GET /containers/c0ffee/stats?stream=false&one-shot=true",
        "POST /containers/c0ffee/stop?t=10",
        "GET /containers/c0ffee/logs?stdout=1&stderr=1",
    ] == fake.requests


def test_the_end_of_a_long_log(folder: Path) -> None:
    """Only the end of a long log is reported, which contains the traceback."""
    fake = FakeContainer(log=[b"a line of the log\n"] * 100_000)
    with serving(answering) as server:
        code, events = probed(folder, server.url, fake)

    assert (0, ("a line of the log\n" * 100)[-1000:]) == (code, events[-1]["log"])


def test_an_answer_is_kept_up_to_the_limit(folder: Path) -> None:
    """Only the start of an answer longer than the limit is reported."""
    with serving(lambda _method, path, _body: (200, b"x" * 2000 if path == "/score" else b"")) as server:
        code, events = probed(folder, server.url, None, requests=[SCORE])

    assert (0, base64.b64encode(b"x" * 1000).decode(), True) == (code, events[2]["body"], events[2]["cut"])


def test_a_container_that_has_ended(folder: Path) -> None:
    """A container that has ended is reported with its exit code, and not stopped."""
    fake = FakeContainer(state={"Running": False, "ExitCode": 137, "OOMKilled": True}, log=[b"Killed\n"])
    with serving(lambda *_: None) as server:
        code, events = probed(folder, server.url, fake)

    waiting = {"event": "waiting", "seconds": 0.0, "last": "connection closed without an answer"}
    last = {
        "event": "container",
        "seen": True,
        "running": False,
        "exit_code": 137,
        "out_of_memory": True,
        "peak_memory": None,
        "stop": None,
        "log": "Killed\n",
    }
    assert (1, [waiting, {"event": "exited", "seconds": 0.0}, last]) == (code, events)
    assert not [request for request in fake.requests if "stop" in request or "stats" in request]


def test_a_name_that_is_gone(folder: Path) -> None:
    """Without an engine, a container whose host name no longer resolves has ended."""
    result = probed(folder, "http://not-a-host.invalid:5001", None, host="not-a-host.invalid")
    last = result[1][0].pop("last")

    events = [{"event": "waiting", "seconds": 0.0}, {"event": "exited", "seconds": 0.0}, UNSEEN]
    assert (1, events) == result
    assert last == last.lower() != ""


@pytest.mark.parametrize("address", ["127.0.0.1", "172.17.0.2"], ids=["no such container", "no such address"])
def test_an_engine_that_knows_no_such_container(address: str, folder: Path) -> None:
    """An engine that does not know the container is like no engine."""
    fake = FakeContainer(address=address, state={})
    with serving(answering) as server:
        result = probed(folder, server.url, fake)

    assert (0, [READY, SWAGGER, MALFORMED, DONE, UNSEEN]) == result
    name = "c0ffee" if address == "127.0.0.1" else "localhost"
    assert f"GET /containers/{name}/json" == fake.requests[1]


FAILING: Mapping[str, Behaviour] = {
    "no swagger": lambda method, path, body: (
        (404, b"") if path == "/swagger.json" else answering(method, path, body)
    ),
    "a status": lambda method, path, body: (500, b"") if path == "/score" else answering(method, path, body),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_wrong_status_fails_the_step(name: str, folder: Path) -> None:
    """A wrong status fails the step, so that nothing is pushed."""
    with serving(FAILING[name]) as server:
        code, _ = probed(folder, server.url, None, requests=[SCORE])

    assert code == 1


def test_a_stand_in_in_the_place_of_the_images_own_script_is_no_pass(folder: Path) -> None:
    """The agent's engine knows what variables the image sets; the step fails, and the report says what to write."""
    fake = FakeContainer(variables=["PATH=/bin", "AZUREML_ENTRY_SCRIPT=mlflow_score_script.py"])
    with serving(answering) as server:
        code, events = probed(folder, server.url, fake, stand_in=True)
        (folder / "docker.sock").unlink()
        without = probed(folder, server.url, FakeContainer(variables=["PATH=/bin"]), stand_in=True)

    report = report_from_events(plan(), IMAGE, events)

    assert (1, "mlflow_score_script.py") == (code, events[-1]["replaced"])
    assert (0, "") == (without[0], without[1][-1]["replaced"])
    assert "GET /images/sha256:2/json" in fake.requests
    assert not report.passed
    assert (
        "the base brings its own entry script, mlflow_score_script.py, and a stand-in served in its place",
        'Write: env = { AZUREML_ENTRY_SCRIPT = "mlflow_score_script.py" }',
    ) == report.checks[0].details
