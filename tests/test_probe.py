"""The probe, against small HTTP servers."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.in_image import probe
from tests.http_server import Behaviour, Reply, Server, serving

SHORT = 0.05  # seconds, for what never answers
LONG = 30.0  # seconds, for what answers at once

Event = dict[str, Any]


@contextmanager
def raw(*answers: bytes, trickle: bool = False) -> Iterator[str]:
    """A server that sends these bytes, one connection after the other, and keeps the last one open."""
    over = threading.Event()

    def serve() -> None:
        for index, answer in enumerate(answers):
            connection = listener.accept()[0]
            _read_request(connection)
            connection.sendall(answer)
            if index == len(answers) - 1:
                with suppress(OSError):
                    while not over.wait(SHORT / 10 if trickle else LONG):
                        connection.sendall(b".")
            connection.close()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def _read_request(connection: socket.socket) -> None:
    """Read the whole request: closing a connection with unread bytes resets it. A client in a hurry may send none."""
    with connection.makefile("rb") as stream:
        lines = itertools.takewhile(b"\r\n".__ne__, stream)
        lengths = [int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length")]
        stream.read(sum(lengths))


def healthy(_method: str, _path: str, _body: bytes) -> Reply:
    """Answer every request."""
    return 200, b"{}"


def echo(method: str, _path: str, body: bytes) -> Reply:
    """Answer a POST with its body."""
    return 200, body if method == "POST" else b"Healthy"


def scores(*replies: Reply | None) -> Behaviour:
    """Answer each POST with the next answer, then with the last one; all else is healthy."""
    left = list(replies)

    def behaviour(method: str, _path: str, _body: bytes) -> Reply | None:
        if method == "GET":
            return 200, b"Healthy"
        return left.pop(0) if len(left) > 1 else left[0]

    return behaviour


def request(body: bytes = b"{}", **more: Any) -> Event:
    """Return one request of the configuration."""
    usual = {"method": "POST", "path": "/score", "headers": {"Content-Type": "application/json"}}
    return {**usual, "body": base64.b64encode(body).decode(), "timeout": LONG, "status": 200, **more}


def config(url: str, *requests: Event, **more: Any) -> Event:
    """Return a configuration with long timeouts, for servers that answer at once."""
    limits = {"start_timeout": LONG, "try_timeout": LONG, "repeat": 1}
    return {"base_url": url, **limits, "requests": list(requests), **more}


def run(
    settings: Event,
    *,
    alive: Callable[[], bool] = lambda: True,
    unreachable: Callable[[], bool] | None = None,
) -> list[Event]:
    """Return the events without what differs from run to run; the clock jumps while the probe waits."""
    events: list[Event] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    probe.run(settings, events.append, alive, unreachable, clock=lambda: now[0], sleep=sleep)
    for event in events:
        if "headers" in event:
            event["headers"] = {name: event["headers"][name] for name in ("x-kind",)}
            event["seconds"] = len(event["seconds"])
            event["body"] = base64.b64decode(event["body"])
        if "body" in event.get("changed", {}):
            event["changed"]["body"] = base64.b64decode(event["changed"]["body"])
            del event["changed"]["headers"]
    return events


READY = {"event": "ready", "seconds": 0.0, "tries": 1}
SWAGGER = {"event": "swagger", "status": 200, "error": None}
MALFORMED = {"event": "malformed", "status": 200, "error": None, "healthy": True}
DONE = {"event": "done", "seconds": 0.0}


def answer(body: bytes = b"{}", *, index: int = 0, status: int = 200, times: int = 1, **more: Any) -> Event:
    """Return an answer as `run` shortens it."""
    common = {"headers": {"x-kind": "one, two"}, "cut": False, "seconds": times}
    return {"event": "answer", "index": index, "status": status, "body": body, **common, **more}


def test_healthy_without_requests() -> None:
    """Without requests, start-up, health, swagger.json and the malformed body are still checked."""
    with serving(healthy) as server:
        events = run(config(server.url))

    assert [READY, SWAGGER, MALFORMED, DONE] == events
    assert [
        ("GET", "/", None, b""),
        ("GET", "/swagger.json", None, b""),
        ("POST", "/score", "application/json", b"{"),
        ("GET", "/", None, b""),
    ] == server.requests


def test_the_health_alone() -> None:
    """Without swagger.json, requests and a malformed body, nothing but the health check is asked."""
    with serving(healthy) as server:
        events = run({**config(server.url), "swagger": False, "malformed": False})

    assert ([READY, DONE], [("GET", "/", None, b"")]) == (events, server.requests)


def test_requests_are_sent_as_json() -> None:
    """Each request goes to its path with its bytes and a JSON content type."""
    with serving(echo) as server:
        events = run(config(server.url + "/", request(b"\xff\x00"), request(b"[1]", path="/a b?c=é%20#d\n")))

    assert [READY, SWAGGER, answer(b"\xff\x00"), answer(b"[1]", index=1), MALFORMED, DONE] == events
    assert [
        ("POST", "/score", "application/json", b"\xff\x00"),
        ("POST", "/a%20b?c=%C3%A9%20#d%0A", "application/json", b"[1]"),
    ] == server.requests[2:4]


def test_other_methods_and_headers() -> None:
    """Each request has its method, its headers and its body; without a body there is no media type."""
    no_body: Event = {"headers": {}}
    requests = (
        request(b"", method="GET", path="/swagger.json?version=3", **no_body),
        request(b"a=1", method="PUT", headers={"Content-Type": "text/plain", "X-Team": "a: b"}),
        request(b"", method="HEAD", **no_body),
        request(b"", method="DELETE", **no_body),
        request(b"", method="OPTIONS", **no_body),
    )
    with serving(lambda method, _path, body: (200, body if method == "PUT" else b"")) as server:
        events = run(config(server.url, *requests))

    answers = [answer(b"a=1" if index == 1 else b"", index=index) for index in range(5)]
    assert [READY, SWAGGER, *answers, MALFORMED, DONE] == events
    assert [
        ("GET", "/swagger.json?version=3", None, b""),
        ("PUT", "/score", "text/plain", b"a=1"),
        ("HEAD", "/score", None, b""),
        ("DELETE", "/score", None, b""),
        ("OPTIONS", "/score", None, b""),
    ] == server.requests[2:7]
    usual = {"host", "accept-encoding", "connection"}
    assert [usual, usual | {"content-type", "content-length", "x-team"}, usual, usual, usual] == [
        set(headers) for headers in server.headers[2:7]
    ]
    assert server.headers[3]["x-team"] == "a: b"


def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is ignored."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(healthy) as server:
        events = run(config(server.url))

    assert [READY, SWAGGER, MALFORMED, DONE] == events


def test_repeats() -> None:
    """A request is sent as often as `repeat` says, and each answer has its time."""
    with serving(healthy) as server:
        events = run(config(server.url, request(), repeat=10))

    assert [READY, SWAGGER, answer(times=10), MALFORMED, DONE] == events


def test_changing_answers() -> None:
    """The first answer is kept, with the first repeat that differs."""
    with serving(scores((200, b"1"), (200, b"1"), (200, b"2"), (200, b"3"))) as server:
        events = run(config(server.url, request(), repeat=5))

    changed = {"repeat": 3, "status": 200, "body": b"2", "cut": False}
    assert [READY, SWAGGER, answer(b"1", times=5, changed=changed), MALFORMED, DONE] == events


def test_a_repeat_with_another_status() -> None:
    """After a repeat with an unexpected status, the malformed body is not sent."""
    with serving(scores((200, b"1"), (500, b"2"), (200, b"1"))) as server:
        events = run(config(server.url, request(), repeat=3))

    changed = {"repeat": 2, "status": 500, "body": b"2", "cut": False}
    assert [READY, SWAGGER, answer(b"1", times=3, changed=changed), DONE] == events


def test_a_repeat_without_an_answer() -> None:
    """After a repeat without an answer, the server's health is checked and nothing is repeated."""
    with serving(scores((200, b"1"), None, (200, b"1"))) as server:
        events = run(config(server.url, request(), repeat=3))

    changed = {"repeat": 2, "status": None, "error": "connection closed without an answer"}
    assert [READY, SWAGGER, answer(b"1", changed=changed, healthy=True), DONE] == events


def test_an_unexpected_status_is_not_repeated() -> None:
    """A failed request is not repeated, and the next request is sent."""
    with serving(scores((500, b"no"), (200, b"{}"))) as server:
        events = run(config(server.url, request(), request(), repeat=10))

    assert [READY, SWAGGER, answer(b"no", status=500), answer(index=1, times=10), DONE] == events


def test_an_expected_error_is_repeated() -> None:
    """An expected status other than 200 passes."""
    with serving(scores((400, b"no"))) as server:
        events = run(config(server.url, request(status=400), repeat=2))

    assert [READY, SWAGGER, answer(b"no", status=400, times=2), {**MALFORMED, "status": 400}, DONE] == events


def test_any_status_if_none_is_expected() -> None:
    """A request without a status accepts any."""
    any_status = request()
    del any_status["status"]
    with serving(scores((418, b"no"))) as server:
        events = run(config(server.url, any_status, repeat=2))

    assert [READY, SWAGGER, answer(b"no", status=418, times=2), {**MALFORMED, "status": 418}, DONE] == events


def test_not_yet() -> None:
    """The probe waits through bad gateways and closed connections, with an event for each change."""
    replies: list[Reply | None] = [(502, b""), (502, b""), None, (503, b""), (404, b"")]
    with serving(lambda *_: replies.pop(0) if replies else (200, b"{}")) as server:
        events = run(config(server.url))

    assert [
        {"event": "waiting", "seconds": 0.0, "last": "502 Bad Gateway"},
        {"event": "waiting", "seconds": 0.1, "last": "connection closed without an answer"},
        {"event": "waiting", "seconds": 0.15, "last": "503 Service Unavailable"},
        {"event": "waiting", "seconds": 0.2, "last": "404 Not Found"},
        {"event": "ready", "seconds": 0.25, "tries": 6},
        SWAGGER,
        MALFORMED,
        {"event": "done", "seconds": 0.25},
    ] == events


def test_a_late_start() -> None:
    """A port that refuses at first is tried until it answers."""
    with Server(healthy, listening=False) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))

        def starts() -> bool:
            server.server_activate()
            thread.start()
            return True

        events = run(config(server.url), alive=starts, unreachable=lambda: False)
        server.shutdown()
        thread.join()

    assert [
        {"event": "waiting", "seconds": 0.0, "last": "connection refused"},
        {"event": "ready", "seconds": 0.05, "tries": 2},
        SWAGGER,
        MALFORMED,
        {"event": "done", "seconds": 0.05},
    ] == events


def test_never_ready() -> None:
    """The probe ends after the start timeout; until then its tries get rarer."""
    tries = itertools.count()
    with Server(healthy, listening=False) as server:
        events = run(config(server.url, start_timeout=310.0), alive=lambda: next(tries) >= 0)

    assert [
        {"event": "waiting", "seconds": 0.0, "last": "connection refused"},
        {"event": "not-ready", "last": "connection refused", "seconds": 310.40127},
    ] == events
    assert next(tries) == 669


def test_exited_while_starting() -> None:
    """If the container is gone, the probe stops waiting at once."""
    with Server(healthy, listening=False) as server:
        events = run(config(server.url), alive=lambda: False, unreachable=lambda: True)

    assert [
        {"event": "waiting", "seconds": 0.0, "last": "connection refused"},
        {"event": "exited", "seconds": 0.0},
    ] == events


def test_elsewhere() -> None:
    """If the port refuses and is on another machine, the probe stops waiting at once."""
    with Server(healthy, listening=False) as server:
        events = run(config(server.url), unreachable=lambda: True)

    assert [
        {"event": "waiting", "seconds": 0.0, "last": "connection refused"},
        {"event": "elsewhere", "seconds": 0.0},
    ] == events


def test_elsewhere_is_asked_twice() -> None:
    """A port that opened during the caller's check is on this machine."""
    with Server(healthy, listening=False) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))

        def opens() -> bool:
            server.server_activate()
            thread.start()
            return True

        events = run(config(server.url), unreachable=opens)
        server.shutdown()
        thread.join()

    waiting = {"event": "waiting", "seconds": 0.0, "last": "connection refused"}
    ready, done = {**READY, "seconds": 0.05, "tries": 2}, {**DONE, "seconds": 0.05}
    assert [waiting, ready, SWAGGER, MALFORMED, done] == events


def test_elsewhere_is_asked_of_refusals_alone() -> None:
    """A port that answers anything is on this machine."""
    replies: list[Reply] = [(502, b"")]
    with serving(lambda *_: replies.pop(0) if replies else (200, b"{}")) as server:
        events = run(config(server.url), unreachable=lambda: True)

    waiting = {"event": "waiting", "seconds": 0.0, "last": "502 Bad Gateway"}
    assert [
        waiting,
        {**READY, "seconds": 0.05, "tries": 2},
        SWAGGER,
        MALFORMED,
        {**DONE, "seconds": 0.05},
    ] == events


@pytest.mark.parametrize(
    ("sent", "timeout", "last"),
    [
        pytest.param(b"", SHORT, "no answer within 0.05 s", id="nothing"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHealt",
            SHORT,
            "no answer within 0.05 s",
            id="a part",
        ),
        pytest.param(b"220 mail.example SMTP\r\n", LONG, "the answer is not HTTP", id="another protocol"),
    ],
)
def test_not_ready_in_other_ways(sent: bytes, timeout: float, last: str) -> None:
    """A server that hangs or does not speak HTTP is not ready, and the reason says which."""
    with raw(sent) as url:
        events = run(config(url, try_timeout=timeout), alive=lambda: False)

    assert [{"event": "waiting", "seconds": 0.0, "last": last}, {"event": "exited", "seconds": 0.0}] == events


def test_a_trickle_is_no_answer() -> None:
    """The timeout covers the whole answer, even if each byte comes in time."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with raw(head, trickle=True) as url:
        events = run(config(url, try_timeout=SHORT), alive=lambda: False)

    waiting = {"event": "waiting", "seconds": 0.0, "last": "no answer within 0.05 s"}
    assert [waiting, {"event": "exited", "seconds": 0.0}] == events


def test_a_broken_answer() -> None:
    """An answer shorter than its length is not complete."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHealt"
    with raw(whole, whole, broken, whole) as url:
        events = run(config(url, request()))

    no_answer = {"event": "no-answer", "index": 0, "error": "the answer was cut off", "healthy": True}
    assert [READY, SWAGGER, no_answer, DONE] == events


def test_a_slow_request() -> None:
    """A request without an answer in time has an event, and the next is sent once the server is healthy."""
    busy, release = threading.Event(), threading.Event()

    def behaviour(method: str, path: str, _body: bytes) -> Reply:
        if path == "/slow":
            busy.set()
            release.wait(LONG)
        if method == "GET" and busy.is_set():
            release.set()
        return 200, b"{}"

    with serving(behaviour) as server:
        events = run(config(server.url, request(path="/slow", timeout=SHORT), request()))

    no_answer = {"event": "no-answer", "index": 0, "error": "no answer within 0.05 s", "healthy": True}
    assert [READY, SWAGGER, no_answer, answer(index=1), DONE] == events


def test_a_server_that_does_not_recover() -> None:
    """If the server is not healthy after a request, nothing more is sent."""
    down: list[None] = []

    def behaviour(method: str, _path: str, _body: bytes) -> Reply | None:
        if method == "POST":
            down.append(None)
            return None
        return (502, b"") if down else (200, b"Healthy")

    with serving(behaviour) as server:
        events = run(config(server.url, request(), request()))

    error = "connection closed without an answer"
    assert [
        READY,
        SWAGGER,
        {"event": "no-answer", "index": 0, "error": error, "healthy": False},
        {"event": "done", "seconds": 30},
    ] == [
        {**event, "seconds": round(event["seconds"])} if event["event"] == "done" else event
        for event in events
    ]
    assert len(down) == 1


def test_a_request_that_ends_the_container() -> None:
    """A container that exits during a request has another event than one that hangs."""
    replies: list[Reply] = [(200, b""), (200, b""), (502, b"bad gateway"), (502, b"")]
    with serving(lambda *_: replies.pop(0)) as server:
        events = run(config(server.url, request(), request()), alive=lambda: False)

    failed = answer(b"bad gateway", status=502, healthy=False)
    assert [READY, SWAGGER, failed, {"event": "exited", "seconds": 0.0}] == events


def test_a_malformed_body_that_ends_the_container() -> None:
    """A container that exits after the malformed body has its event."""
    replies: list[Reply | None] = [(200, b""), (200, b""), None, (502, b"")]
    with serving(lambda *_: replies.pop(0)) as server:
        events = run(config(server.url), alive=lambda: False)

    error = "connection closed without an answer"
    malformed = {"event": "malformed", "status": None, "error": error, "healthy": False}
    assert [READY, SWAGGER, malformed, {"event": "exited", "seconds": 0.0}] == events


def test_a_malformed_body_that_restarts_the_worker() -> None:
    """A server that comes back after the malformed body is healthy."""
    replies: list[Reply | None] = [(200, b""), (200, b""), None, (502, b""), (200, b"")]
    with serving(lambda *_: replies.pop(0)) as server:
        events = run(config(server.url))

    error = "connection closed without an answer"
    malformed = {"event": "malformed", "status": None, "error": error, "healthy": True}
    assert [READY, SWAGGER, malformed, {"event": "done", "seconds": 0.1}] == events


def test_no_swagger() -> None:
    """The event has what /swagger.json answers instead of 200."""
    with serving(lambda _method, path, _body: (404 if path == "/swagger.json" else 200, b"")) as server:
        events = run(config(server.url))

    assert [READY, {**SWAGGER, "status": 404}, MALFORMED, DONE] == events


def test_a_long_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is kept up to the limit, and marked as cut."""
    monkeypatch.setattr(probe, "LIMIT", 3)
    with serving(scores((200, b"abc"), (200, b"abcd"))) as server:
        events = run(config(server.url, request(), request()))

    assert [READY, SWAGGER, answer(b"abc"), answer(b"abc", index=1, cut=True), MALFORMED, DONE] == events


def test_an_unknown_host() -> None:
    """A host name that cannot be resolved counts as not ready."""
    events = run(config("http://not-a-host.invalid:5001"), alive=lambda: False)
    last = events[0].pop("last")

    assert [{"event": "waiting", "seconds": 0.0}, {"event": "exited", "seconds": 0.0}] == events
    assert last == last.lower() != ""


def test_as_a_script(tmp_path: Path) -> None:
    """As an isolated script, the probe prints its events, one JSON object a line."""
    (tmp_path / "probe.py").write_bytes(Path(probe.__file__).read_bytes())
    with serving(echo) as server:
        (tmp_path / "probe.json").write_text(json.dumps(config(server.url, request())), "utf-8")
        command = [sys.executable, "-I", "probe.py", "probe.json"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)

    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (b"", 0) == (ended.stderr, ended.returncode)
    assert ["ready", "swagger", "answer", "malformed", "done"] == [event["event"] for event in events]
