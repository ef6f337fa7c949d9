"""HTTP to an engine at a Unix socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from azureml_tasks.engines.docker.socket_http import RefusedError, request, send_archive
from tests.fake_engine import FakeEngine, json_answer, running_engine

BLOCKS = [b"one", b"", b"x" * 100_000, b"three"]


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """An engine at a Unix socket."""
    with running_engine() as fake:
        yield fake


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(json_answer({"Id": "é"}), (200, b'{"Id": "\\u00e9"}'), id="JSON"),
        pytest.param((404, b"none"), (404, b"none"), id="error"),
        pytest.param((201, b""), (201, b""), id="empty"),
        pytest.param(
            (0, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more"),
            (200, b"{}"),
            id="longer than its length",
        ),
        pytest.param((0, b"HTTP/1.0 200 OK\r\n\r\n{}"), (200, b"{}"), id="without a length"),
        pytest.param(
            (0, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            (200, b"{}"),
            id="chunked",
        ),
    ],
)
def test_request_returns_status_and_body(
    answer: tuple[int, bytes], expected: tuple[int, bytes], engine: FakeEngine
) -> None:
    """The status and the whole body are returned, however its end is marked."""
    engine.answers["GET /version"] = answer

    status, _, body = request(engine.host, "GET", "/version", timeout=10)

    assert expected == (status, body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b"SSH-2.0-server\r\n", "BadStatusLine", id="not HTTP"),
        pytest.param(b"HTTP/2 200\r\n\r\n{}", "UnknownProtocol", id="another protocol"),
        pytest.param(b"", "RemoteDisconnected", id="no answer"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}", "IncompleteRead", id="cut off"),
    ],
)
def test_a_broken_answer_is_an_error(answer: bytes, expected: str, engine: FakeEngine) -> None:
    """An answer that is not HTTP, or is cut off, raises the error of http.client."""
    engine.answers["GET /version"] = (0, answer)

    with pytest.raises(Exception) as caught:  # noqa: PT011 -- its exact type is compared below
        request(engine.host, "GET", "/version", timeout=10)

    assert expected == type(caught.value).__name__


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        ("unix:///nowhere/docker.sock", FileNotFoundError),
        ("unix:///etc/passwd", ConnectionRefusedError),
        ("unix:///" + "x" * 200, OSError),
    ],
)
def test_a_socket_that_cannot_be_connected_to(host: str, cause: type[OSError]) -> None:
    """It is a ConnectionError, so that nobody takes it for an error of the user's files; its cause says why."""
    with pytest.raises(ConnectionError) as caught:
        request(host, "GET", "/version", timeout=10)

    assert cause is type(caught.value.__cause__)


def test_the_method_is_sent(engine: FakeEngine) -> None:
    """A request carries its method, path and query."""
    request(engine.host, "POST", "/images/a/tag?repo=b", timeout=10)

    assert ["POST /images/a/tag?repo=b"] == engine.requests


def test_an_archive_is_streamed(engine: FakeEngine) -> None:
    """Every byte is sent, and each line of the answer that is not empty is yielded."""
    engine.answers["POST /build"] = (200, b'{"stream": "a"}\r\n\r\n{"stream": "b"}\n')

    lines = list(send_archive(engine.host, "/build", iter(BLOCKS), timeout=10))

    assert ([b'{"stream": "a"}\r\n', b'{"stream": "b"}\n'], [b"".join(BLOCKS)]) == (lines, engine.bodies)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (json_answer({"message": "no space"}, 500), "no space"),
        (json_answer({}, 500), "{}"),
        ((502, b"<h1>no way</h1>\n"), "<h1>no way</h1>"),
        ((400, b""), "HTTP status 400"),
    ],
)
def test_a_refused_archive_is_an_error(answer: tuple[int, bytes], expected: str, engine: FakeEngine) -> None:
    """The error's text is the message in the answer, else the whole answer, else its status."""
    engine.answers["POST /build"] = answer

    with pytest.raises(RefusedError) as caught:
        list(send_archive(engine.host, "/build", iter(BLOCKS), timeout=10))

    assert expected == str(caught.value)
