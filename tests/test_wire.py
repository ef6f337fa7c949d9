"""Plain questions to an engine at a socket, and where that socket is."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from azureml_tasks.engines.endpoint import Endpoint, connect
from azureml_tasks.engines.wire import ask, image_path
from azureml_tasks.errors import EngineError

ABOUT = {
    "Version": "28.0.1",
    "ApiVersion": "1.48",
    "Components": [{"Name": "Engine"}, {"Name": "containerd"}],
}
IMAGE = {"Id": "sha256:1", "Os": "linux"}


@dataclass(kw_only=True)
class Engine:
    """An engine at a socket, which answers what it is told to.

    Args:
        host: its address.
        answers: method and path -> status and body.
        asked: what it was asked, in order.
    """

    host: str
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, request: str) -> tuple[int, bytes]:
        """The answer to *request*."""
        self.asked.append(request)
        return self.answers.get(request, (404, b'{"message": "no such thing"}'))


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine; its socket lies in a folder of a short name, since the name of a socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        made = Engine(host=f"unix://{folder}/s")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = made.answer(f"{self.command} {self.path}")
                if not status:
                    self.wfile.write(body)  # It is no HTTP.
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Nobody asks for it."""

        with socketserver.UnixStreamServer(f"{folder}/s", Handler) as server:
            serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            serving.start()
            yield made
            server.shutdown()
            serving.join()


def said(value: Any, status: int = 200) -> tuple[int, bytes]:
    """An answer in JSON."""
    return status, json.dumps(value).encode()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(said({"Id": "é"}), (200, {"Id": "é"}), id="JSON"),
        pytest.param(said({"message": "none"}, 404), (404, {"message": "none"}), id="an error in JSON"),
        pytest.param((201, b""), (201, None), id="nothing"),
        pytest.param((200, b"<html>"), None, id="no JSON"),
        pytest.param((200, b"\xff"), None, id="no text"),
        pytest.param((0, b"SSH-2.0-server\r\n"), None, id="no HTTP"),
        pytest.param((0, b""), None, id="no answer"),
    ],
)
def test_an_answer_is_its_status_and_its_json(
    answer: tuple[int, bytes], expected: tuple[int, Any] | None, engine: Engine
) -> None:
    """Whatever is no answer in JSON, or in nothing, is none."""
    engine.answers["GET /version"] = answer

    assert expected == ask(engine.host, "/version")


@pytest.mark.parametrize(
    "host",
    ["unix:///nowhere/docker.sock", "unix://", "tcp://127.0.0.1:1", "ssh://host", "", "unix:///" + "x" * 200],
)
def test_where_nobody_is_there_is_no_answer(host: str) -> None:
    """An address without a socket, or of another kind, gives none, and no error."""
    assert ask(host, "/version") is None


def test_the_method_is_sent(engine: Engine) -> None:
    """What changes something is posted."""
    engine.answers["POST /images/a/tag?repo=b"] = (201, b"")

    assert (201, None) == ask(engine.host, "/images/a/tag?repo=b", method="POST")


def test_a_reference_keeps_its_slashes() -> None:
    """A path names an image as the API has it, and nothing in a name leads out of it."""
    assert "/images/r.io:5000/a/b@sha256:1/" == f"{image_path('r.io:5000/a/b@sha256:1')}/"
    assert "/images/a%3Fb%23c%25d" == image_path("a?b#c%d")


# What is asked of an engine


@pytest.fixture
def endpoint(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """That engine, found as docker finds it."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers["GET /version"] = said(ABOUT)
    return connect()


def test_an_engine_is_known_by_its_answer(engine: Engine, endpoint: Endpoint) -> None:
    """Its version and that of its API are what it says, by one question."""
    expected = Endpoint(context="default", host=engine.host, version="28.0.1", is_podman=False, api="1.48")

    assert (expected, ["GET /version"]) == (endpoint, engine.asked)


def test_podman_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine with a component of Podman's is Podman."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers["GET /version"] = said({**ABOUT, "Components": [{"Name": "Podman Engine"}]})

    assert connect().is_podman


@pytest.mark.parametrize("answer", [said([]), said("28"), (200, b""), said(ABOUT, 500), (200, b"<html>")])
def test_what_is_no_engine_is_unreachable(
    answer: tuple[int, bytes], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something else that answers at the socket is told apart from an engine, and named."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers["GET /version"] = answer

    with pytest.raises(EngineError, match=engine.host):
        connect()


def test_an_image_is_asked_for_and_named_without_the_sdk(engine: Engine, endpoint: Endpoint) -> None:
    """What it says of an image, and a new name of one, take one question each, and the SDK is not loaded."""
    tag = "POST /v1.48/images/sha256:1/tag?repo=r.io%3A5000%2Fdemo&tag=1"
    engine.answers |= {"GET /v1.48/images/demo:1/json": said(IMAGE), tag: (201, b"")}

    found = endpoint.image("demo:1")
    endpoint.tag("sha256:1", "r.io:5000/demo:1")

    asked = ["GET /version", "GET /v1.48/images/demo:1/json", tag]
    assert (IMAGE, asked, False) == (found, engine.asked, "client" in vars(endpoint))
