"""The smoke test in the cloud: what travels for it, what it does there, and what of it comes back through a log."""

from __future__ import annotations

import ast
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
from azureml_tasks.engines.acr.cloud_smoke_test import Collector, files, marker
from azureml_tasks.engines.acr.smoke_test import report_from_events
from azureml_tasks.in_image import default_score, probe, probe_in_acr
from azureml_tasks.plain_text import clean
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from tests.acr_plans import plan
from tests.test_probe import Behaviour, serving

MARK = "azureml-image-smoke-test-5f5f5f5f5f5f5f5f"
LONGEST = 16 * 1024
"""Docker's log drivers break lines there."""

Event = dict[str, Any]


# What travels


def request(body: bytes = b"[1]", *, status: int = 200) -> SmokeTestRequest:
    """A request of a smoke test."""
    return SmokeTestRequest(
        name="request 1", path="/score", body=body, status=status, expect=None, tolerance=1e-6, timeout=5.0
    )


SMOKE_TEST = SmokeTestPlan(requests=(request(),), start_timeout=60.0, repeat=2, sha256="5f" * 32)


def source_of(module: Any) -> bytes:
    """The text of a script that runs inside."""
    return Path(module.__file__).read_bytes()


@pytest.mark.parametrize("has_code", [True, False])
def test_the_folder_of_the_smoke_test(has_code: bool) -> None:
    """Scripts, configuration and, for an image without code, an entry script travel in a folder that no COPY names."""
    smoke_test = SMOKE_TEST._replace(default_script=not has_code)

    found = files(smoke_test)

    contents = {file.name: file.data for file in found}
    asked = json.loads(contents.pop(".azureml-image/probe.json"))
    assert {
        "base_url": "http://server:5001",
        "start_timeout": 60.0,
        "try_timeout": 2.0,
        "repeat": 2,
        "requests": [{"path": "/score", "body": "WzFd", "timeout": 5.0, "status": 200}],
        "container": "server",
        "marker": MARK,
        "limit": 1024 * 1024,
    } == asked
    assert {
        ".azureml-image/": b"",
        ".azureml-image/probe_in_acr.py": source_of(probe_in_acr),
        ".azureml-image/probe.py": source_of(probe),
        ".azureml-image/probe.sh": b'exec "${AZUREML_CONDA_ENVIRONMENT_PATH:-/usr}/bin/python" -I '
        b"/workspace/.azureml-image/probe_in_acr.py /workspace/.azureml-image/probe.json\n",
        **({} if has_code else {".azureml-image/default_score.py": source_of(default_score)}),
    } == contents
    assert [len(file.data) for file in found] == [file.size for file in found]


def test_the_same_smoke_test_is_the_same_files() -> None:
    """Nothing in them differs from run to run."""
    assert files(SMOKE_TEST) == files(SMOKE_TEST)


# What comes back

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
EVENTS = st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4)


def printed(events: Sequence[Event], mark: str = MARK) -> list[str]:
    """The lines of some events."""
    return [line for number, event in enumerate(events) for line in probe_in_acr.frames(mark, number, event)]


def collected(lines: Sequence[str], mark: str = MARK) -> list[Event]:
    """The events in some lines."""
    collector = Collector(mark=mark)
    for line in lines:
        collector.takes(line)
    return collector.events()


@given(events=EVENTS)
def test_any_events_come_back(events: list[Event]) -> None:
    """Whatever JSON is told comes back as it was, from lines that no terminal and no log changes."""
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
    """An event that is longer than a log's lines is told in parts, each of which fits with room to spare."""
    lines = printed([SHORT, LONG, SHORT])

    assert len(lines) > 6
    assert max(map(len, lines)) < LONGEST
    assert [SHORT, LONG, SHORT] == collected(lines)


def test_other_lines_between_do_not_matter() -> None:
    """What others print between the parts is not taken, and is left to be shown."""
    collector = Collector(mark=MARK)
    foreign = [
        "",
        "2026/11/25 10:00:00 Launching container with name: smoke-test",
        f" {MARK} 0 1/1 x",
        MARK[:-1],
    ]

    taken = {line: collector.takes(line) for part in printed([LONG, SHORT]) for line in (*foreign, part)}

    assert {line: line not in foreign for line in taken} == taken
    assert [LONG, SHORT] == collector.events()


def test_another_smoke_test_is_not_taken() -> None:
    """A report counts for the smoke test whose mark it bears, and for no other; without a mark none is taken."""
    other = marker(SmokeTestPlan(sha256="6e" * 32))

    lines = [*printed([SHORT], other), *printed([LONG])]

    assert [LONG] == collected(lines)
    assert [SHORT] == collected(lines, other)
    assert ([], False) == (collected(lines, ""), Collector().takes(lines[0]))


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


@pytest.mark.parametrize(
    "line", [MARK, f"{MARK} ", f"{MARK} 0", f"{MARK} 0 1/1", f"{MARK} a 1/1 x", f"{MARK}0 1/1 x"]
)
def test_a_line_that_says_nothing(line: str) -> None:
    """A line with the mark and nothing that can be read is taken, and tells nothing."""
    collector = Collector(mark=MARK)

    assert (True, []) == (collector.takes(line), collector.events())


def test_nothing_came() -> None:
    """Without a line there is no event."""
    assert [] == Collector(mark=MARK).events()


# How it is judged

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
    found = report_from_events(plan(), IMAGE, [*SERVED, *last])

    place = "in the cloud, by run ca8"
    assert (passed, exit_code, warnings, place) == (
        found.passed,
        found.exit_code,
        found.warnings,
        found.place,
    )


def test_a_container_that_ended() -> None:
    """Its exit code and its log are told."""
    ended = container(running=False, exit_code=137, peak_memory=None, stop=None, log="Killed")

    found = report_from_events(plan(), IMAGE, [{"event": "exited", "seconds": 2.0}, ended])

    details = ("the container exited with code 137", "GET / did not answer 200")
    assert (False, 137, "Killed", details) == (
        found.passed,
        found.exit_code,
        found.log,
        found.checks[0].details,
    )


# What it does there


@dataclass(kw_only=True)
class Played:
    """A container as an engine knows it.

    Args:
        address: in its network.
        state: of the container; empty where the engine knows none.
        log: pieces of its log, each of stdout or stderr.
        peak: bytes of memory.
        asked: what was asked of the engine.
    """

    address: str = "127.0.0.1"
    state: Mapping[str, Any] = field(
        default_factory=lambda: {"Running": True, "ExitCode": 0, "OOMKilled": False}
    )
    log: Sequence[bytes] = ()
    peak: int | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        """Status and content."""
        self.asked.append(f"{method} {path}")
        if path == "/containers/json":
            others = [
                {"Id": "0" * 12, "NetworkSettings": {"Networks": {"a": {"IPAddress": "172.17.0.9"}}}},
                {"Id": "1"},
            ]
            own = {"Id": "c0ffee", "NetworkSettings": {"Networks": {"b": {"IPAddress": self.address}}}}
            return 200, json.dumps([*others, own]).encode()
        if not self.state:
            return 404, b'{"message": "No such container"}'
        if path.endswith("/json"):
            return 200, json.dumps({"State": self.state}).encode()
        if "/stats?" in path:
            return 200, json.dumps({"memory_stats": {"max_usage": self.peak} if self.peak else {}}).encode()
        if "/logs?" in path:
            return 200, b"".join(b"\1\0\0\0" + len(piece).to_bytes(4, "big") + piece for piece in self.log)
        return 204, b""


class Engine(ThreadingUnixStreamServer):
    """The engine of an agent, behind its socket."""

    daemon_threads = True

    def __init__(self, path: Path, played: Played) -> None:
        super().__init__(str(path), EngineHandler)
        self.played = played


class EngineHandler(BaseHTTPRequestHandler):
    """Answers as the played container says."""

    server: Engine

    def do_GET(self) -> None:
        """Answer GET and POST alike."""
        status, content = self.server.played.answer(self.command, self.path)
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


@contextmanager
def engine(path: Path, played: Played | None) -> Iterator[None]:
    """An engine at *path*; none where nothing is played."""
    if played is None:
        yield
        return
    with Engine(path, played) as server:
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
    folder: Path, url: str, played: Played | None, *, host: str = "localhost", **more: Any
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
    with engine(socket, played):
        command = [sys.executable, "-I", "probe_in_acr.py", "probe.json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.stderr == b""
    return done.returncode, [normal(event) for event in collected(done.stdout.decode().splitlines())]


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
SCORE = {"path": "/score", "body": base64.b64encode(b"[1]").decode(), "timeout": 20.0, "status": 200}
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
    """Where the engine cannot be asked, the server is asked all the same, and nothing is said of the container."""
    with serving(answering) as server:
        found = probed(folder, server.url, None, requests=[SCORE])

    assert (0, [READY, SWAGGER, ANSWER, MALFORMED, DONE, UNSEEN]) == found


def test_with_an_engine(folder: Path) -> None:
    """The container is found by its address, and told: its memory, its stop, and its log in whatever pieces."""
    played = Played(log=[b"one\nt", "wo é".encode()[:5], "wo é".encode()[5:], b"\xff\n"], peak=2**28)
    with serving(answering) as server:
        found = probed(folder, server.url, played)

    last = {
        **UNSEEN,
        "seen": True,
        "peak_memory": 2**28,
        "stop": 0.0,
        "log": "one\ntwo é\N{REPLACEMENT CHARACTER}\n",
    }
    assert (0, [READY, SWAGGER, MALFORMED, DONE, last]) == found
    assert [
        "GET /containers/json",
        "GET /containers/c0ffee/json",
        "GET /containers/c0ffee/stats?stream=false&one-shot=true",
        "POST /containers/c0ffee/stop?t=10",
        "GET /containers/c0ffee/logs?stdout=1&stderr=1",
    ] == played.asked


def test_the_end_of_a_long_log(folder: Path) -> None:
    """Of a long log its end is told: that is where a traceback stands."""
    played = Played(log=[b"a line of the log\n"] * 100_000)
    with serving(answering) as server:
        code, events = probed(folder, server.url, played)

    assert (0, ("a line of the log\n" * 100)[-1000:]) == (code, events[-1]["log"])


def test_an_answer_is_kept_up_to_the_limit(folder: Path) -> None:
    """Of an answer that is longer than the configured limit, its beginning is told."""
    with serving(lambda _method, path, _body: (200, b"x" * 2000 if path == "/score" else b"")) as server:
        code, events = probed(folder, server.url, None, requests=[SCORE])

    assert (0, base64.b64encode(b"x" * 1000).decode(), True) == (code, events[2]["body"], events[2]["cut"])


def test_a_container_that_has_ended(folder: Path) -> None:
    """One that ended is asked no more, and told with its code; it is not stopped again."""
    played = Played(state={"Running": False, "ExitCode": 137, "OOMKilled": True}, log=[b"Killed\n"])
    with serving(lambda *_: None) as server:
        code, events = probed(folder, server.url, played)

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
    assert not [asked for asked in played.asked if "stop" in asked or "stats" in asked]


def test_a_name_that_is_gone(folder: Path) -> None:
    """Without an engine, a container whose name is gone from the network has ended."""
    found = probed(folder, "http://not-a-host.invalid:5001", None, host="not-a-host.invalid")
    last = found[1][0].pop("last")

    events = [{"event": "waiting", "seconds": 0.0}, {"event": "exited", "seconds": 0.0}, UNSEEN]
    assert (1, events) == found
    assert last == last.lower() != ""


@pytest.mark.parametrize("address", ["127.0.0.1", "172.17.0.2"], ids=["no such container", "no such address"])
def test_an_engine_that_knows_no_such_container(address: str, folder: Path) -> None:
    """An engine that does not know the container is as none at all."""
    played = Played(address=address, state={})
    with serving(answering) as server:
        found = probed(folder, server.url, played)

    assert (0, [READY, SWAGGER, MALFORMED, DONE, UNSEEN]) == found
    name = "c0ffee" if address == "127.0.0.1" else "localhost"
    assert f"GET /containers/{name}/json" == played.asked[1]


FAILING: Mapping[str, Behaviour] = {
    "no swagger": lambda method, path, body: (
        (404, b"") if path == "/swagger.json" else answering(method, path, body)
    ),
    "a status": lambda method, path, body: (500, b"") if path == "/score" else answering(method, path, body),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_run_fails_where_the_smoke_test_does(name: str, folder: Path) -> None:
    """What has another status than it should makes the step fail, so that nothing is pushed."""
    with serving(FAILING[name]) as server:
        code, _ = probed(folder, server.url, None, requests=[SCORE])

    assert code == 1


def test_it_runs_under_old_pythons() -> None:
    """The script keeps to the syntax of Python 3.7 and to the standard library."""
    tree = ast.parse(source_of(probe_in_acr).decode(), feature_version=(3, 7))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert set() == {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
