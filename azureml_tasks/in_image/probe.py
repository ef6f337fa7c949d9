"""Send a scoring server the requests that Azure ML sends, and report each result as an event.

As a module, `run` passes each event to a function. As a script (`python -I probe.py probe.json`) it prints them,
one JSON object a line. The script also runs inside images, under their own Python. So it is one file, uses the
standard library alone and keeps to the syntax of Python 3.7.

The configuration is a JSON object; times are in seconds; `health`, `scoring`, `swagger`,
`malformed` and `status` are optional:

    {"base_url": "http://127.0.0.1:5001", "start_timeout": 310.0, "try_timeout": 2.0, "repeat": 10,
     "health": "/", "scoring": "/score", "swagger": true, "malformed": true,
     "requests": [{"method": "POST", "path": "/score", "headers": {"Content-Type": "application/json"},
                   "body": "<base64>", "timeout": 5.0, "status": 200}]}

The events, in the order in which they can come:

    waiting    seconds, last      each time the reason why the server is not ready changes
    elsewhere  seconds            the published port is not on this machine; the last event
    exited     seconds            the container is gone; the last event, here and later
    not-ready  seconds, last      `start_timeout` is over; the last event
    ready      seconds, tries     GET of `health` answered 200
    swagger    status, error      GET /swagger.json; one of the two is null; not if `swagger` is false
    answer     index, status, headers, body, cut, seconds, [changed], [healthy]
    no-answer  index, error, healthy
    malformed  status, error, healthy      not if `malformed` is false
    done       seconds

`seconds` of an answer holds one time for each repeat; `changed` is the first repeat with another answer or with
none. If the server does not recover from a request (`healthy` is false), nothing more is sent. The malformed body is
sent only if every request got its expected status, so that the last traceback in the log is that of a failed request.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import string
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    Event = dict[str, Any]
    Config = dict[str, Any]
    Events = Generator[Event, None, None]

LIMIT = 16 * 1024 * 1024
"""Bytes of an answer that are kept; the rest is not read."""

_REFUSED = "connection refused"
_LEAST_TIMEOUT = 5.0  # seconds; Azure ML's default for a request
_RECOVERY = 30.0  # seconds; a worker that is started again imports everything again
_DOWN = (None, 502, 503, 504)  # no answer, or a proxy's answer for a server that does not answer


class _Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""
    timeout: float = _LEAST_TIMEOUT


class _Answer(NamedTuple):
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    cut: bool
    seconds: float


class _Target(NamedTuple):
    config: Config
    alive: Callable[[], bool]
    unreachable: Callable[[], bool]
    clock: Callable[[], float]
    sleep: Callable[[float], None]


class _NoAnswer(Exception):
    """The reason why there is no answer, in a few words."""


class _End(Exception):
    """Nothing more can be sent; the argument is the last event."""


def run(
    config: Config,
    emit: Callable[[Event], None],
    alive: Callable[[], bool],
    unreachable: Callable[[], bool] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the server is ready, send it each request, and emit what comes back.

    Args:
        config: as described above.
        emit: takes each event as it happens.
        alive: returns whether the container still runs; called after every failed try.
        unreachable: returns whether the port is on another machine; called if it refuses the connection.
        clock: returns seconds, from any start.
        sleep: waits for a number of seconds.
    """
    target = _Target(config, alive, unreachable or (lambda: False), clock, sleep)
    began = clock()
    try:
        for event in _events(target, began):
            emit(event)
        last: Event = {"event": "done"}
    except _End as end:
        last = end.args[0]
    emit({**last, "seconds": round(clock() - began, 6)})


def _events(target: _Target, began: float) -> Events:
    yield from _wait_until_ready(target, began)
    if target.config.get("swagger", True):
        yield {"event": "swagger", **_status_event(target, _Request("GET", "/swagger.json"))}
    as_expected = True
    for index, request in enumerate(target.config["requests"]):
        as_expected &= yield from _request(target, index, request)
    if as_expected and target.config.get("malformed", True):
        scoring = target.config.get("scoring", "/score")
        malformed = _Request("POST", scoring, {"Content-Type": "application/json"}, b"{")
        result = _status_event(target, malformed)
        healthy = _recovered(target)
        yield {"event": "malformed", **result, "healthy": healthy}
        _stop_unless(target, healthy=healthy)


def _wait_until_ready(target: _Target, began: float) -> Events:
    last, tries = "", 0
    while True:
        tries += 1
        reason = _not_ready_reason(target)
        seconds = round(target.clock() - began, 6)
        if not reason:
            yield {"event": "ready", "seconds": seconds, "tries": tries}
            return
        if reason != last:
            last = reason
            yield {"event": "waiting", "seconds": seconds, "last": last}
        if not target.alive():
            raise _End({"event": "exited"})
        # Try again afterwards: the port may have opened during the call.
        if reason == _REFUSED and target.unreachable() and _not_ready_reason(target) == _REFUSED:
            raise _End({"event": "elsewhere"})
        if seconds >= target.config["start_timeout"]:
            raise _End({"event": "not-ready", "last": last})
        # Often at first, then every twentieth of the time waited: precise enough, and no load.
        target.sleep(min(0.5, max(0.05, seconds / 20)))


def _not_ready_reason(target: _Target) -> str:
    """Return why the health check does not answer 200; "" if it does."""
    config = target.config
    try:
        request = _Request("GET", config.get("health", "/"), timeout=config["try_timeout"])
        answer = _send(target, request)
    except _NoAnswer as error:
        return str(error)
    return "" if answer.status == http.client.OK else f"{answer.status} {answer.reason}".strip()


def _status_event(target: _Target, request: _Request) -> Event:
    timeout = max([request.timeout, *(each["timeout"] for each in target.config["requests"])])
    try:
        answer = _send(target, request._replace(timeout=timeout))
    except _NoAnswer as error:
        return {"status": None, "error": str(error)}
    return {"status": answer.status, "error": None}


def _request(target: _Target, index: int, request: Event) -> Generator[Event, None, bool]:
    """Send one request, and repeat it if it gets its expected status. Return whether every answer did."""
    try:
        first = _score(target, request)
    except _NoAnswer as error:
        healthy = _recovered(target)
        yield {"event": "no-answer", "index": index, "error": str(error), "healthy": healthy}
        _stop_unless(target, healthy=healthy)
        return False
    expected = request.get("status", first.status)
    seconds, changed = (
        _repeated(target, request, first) if first.status == expected else ([first.seconds], {})
    )
    event = {"event": "answer", "index": index, **_answer_fields(first), "seconds": seconds}
    if changed:
        event["changed"] = changed
    statuses = {first.status, changed.get("status", first.status)}
    if statuses.isdisjoint(_DOWN):
        yield event
        return statuses == {expected}
    event["healthy"] = _recovered(target)
    yield event
    _stop_unless(target, healthy=event["healthy"])
    return statuses == {expected}


def _repeated(target: _Target, request: Event, first: _Answer) -> tuple[list[float], Event]:
    seconds = [first.seconds]
    changed: Event = {}
    for repeat in range(2, target.config["repeat"] + 1):
        try:
            answer = _score(target, request)
        except _NoAnswer as error:
            return seconds, {"repeat": repeat, "status": None, "error": str(error)}
        seconds.append(answer.seconds)
        if not changed and (answer.status, answer.body) != (first.status, first.body):
            changed = {"repeat": repeat, **_answer_fields(answer)}
    return seconds, changed


def _score(target: _Target, request: Event) -> _Answer:
    body = base64.b64decode(request["body"])
    sent = _Request(request["method"], request["path"], request["headers"], body, request["timeout"])
    return _send(target, sent)


def _answer_fields(answer: _Answer) -> Event:
    body = base64.b64encode(answer.body).decode("ascii")
    return {"status": answer.status, "headers": answer.headers, "body": body, "cut": answer.cut}


def _recovered(target: _Target) -> bool:
    """Return whether the health check answers 200 again soon."""
    deadline = target.clock() + _RECOVERY
    while _not_ready_reason(target):
        if not target.alive() or target.clock() >= deadline:
            return False
        target.sleep(0.1)
    return True


def _stop_unless(target: _Target, *, healthy: bool) -> None:
    if not healthy:
        raise _End({"event": "done" if target.alive() else "exited"})


def _send(target: _Target, request: _Request) -> _Answer:
    """Send one request on its own connection; its timeout covers all of it, up to the last byte of the answer."""
    began, base, timeout = time.perf_counter(), urlsplit(target.config["base_url"]), request.timeout
    # Escape only what a request line cannot hold; the rest is the user's path as it is.
    path = base.path.rstrip("/") + quote(request.path, safe=string.punctuation)
    # Unlike urllib, http.client ignores proxies of the environment.
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=timeout)
    try:
        connection.connect()
        with deadline(connection.sock, began + timeout):
            status, reason, headers, content = _exchange(connection, path, request)
    except socket.timeout as error:  # noqa: UP041 - they are different classes before Python 3.10
        raise _NoAnswer(f"no answer within {timeout:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise _NoAnswer(_describe(error)) from error
    finally:
        connection.close()
    seconds = round(time.perf_counter() - began, 6)
    return _Answer(status, reason, headers, content[:LIMIT], len(content) > LIMIT, seconds)


@contextlib.contextmanager
def deadline(sock: socket.socket, end: float) -> Generator[None, None, None]:
    """Close the connection at `end`: a socket's own timeout starts again with every byte that arrives."""
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, end - time.perf_counter()), hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():
            raise socket.timeout  # noqa: UP041 - they are different classes before Python 3.10


def _exchange(
    connection: http.client.HTTPConnection, path: str, request: _Request
) -> tuple[int, str, dict[str, str], bytes]:
    sent = {"Connection": "close", **request.headers}
    # A server that refuses a long body answers without reading all of it.
    with contextlib.suppress(BrokenPipeError):
        connection.request(request.method, path, request.body or None, sent)
    response = connection.getresponse()
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    content = bytearray()
    while len(content) <= LIMIT:
        chunk = response.read(64 * 1024)
        if not chunk:
            break
        content += chunk
    if len(content) <= LIMIT and response.length:
        raise http.client.IncompleteRead(bytes(content))
    return response.status, response.reason, headers, bytes(content)


def _describe(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return _REFUSED
    if isinstance(error, ConnectionError):
        return "connection closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut off"
    if isinstance(error, http.client.HTTPException):
        return "the answer is not HTTP"
    return (getattr(error, "strerror", None) or str(error)).lower()


def _print(event: Event) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text("utf-8")), _print, lambda: True)
