"""A server on a Unix socket or a TCP port that gives the answers of an engine which a test sets."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote

__all__ = ["IMAGE_ID", "FakeEngine", "give_image", "json_answer", "ready_engine", "running_engine"]

IMAGE_ID = "sha256:" + "1" * 64


@dataclass(kw_only=True)
class FakeEngine:
    """An engine that gives set answers.

    Args:
        host: its address.
        answers: method and path -> status and body; status 0 sends the body as the whole answer.
        headers: of every answer.
        requests: method and path of each request, in order.
        bodies: the body of each request that has one.
    """

    host: str
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def answer(self, request: str) -> tuple[int, bytes]:
        """Return the answer to *request*."""
        self.requests.append(request)
        return self.answers.get(request, (404, b'{"message": "no such thing"}'))


@contextmanager
def ready_engine() -> Iterator[FakeEngine]:
    """Run an engine that answers a ping as Docker 28 does, and has no images."""
    with running_engine() as engine:
        engine.answers["GET /_ping"] = (200, b"OK")
        engine.headers = {"Server": "Docker/28.0.1 (linux)", "Api-Version": "1.48"}
        yield engine


@contextmanager
def running_engine(*, tcp: bool = False) -> Iterator[FakeEngine]:
    """Run an engine on a TCP port, or on a socket, in a folder with a short name: its path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        engine = FakeEngine(host=f"unix://{folder}/s")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = engine.answer(f"{self.command} {self.path}")
                if not status:
                    self.wfile.write(body)
                    return
                self.send_response_only(status)  # without http.server's own header Server
                for name, value in (engine.headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    engine.bodies.append(b"".join(_chunks(self)))
                elif length := int(self.headers.get("Content-Length", 0)):
                    engine.bodies.append(self.rfile.read(length))
                self.do_GET()

            do_DELETE = do_GET

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        with _server(f"{folder}/s", Handler, tcp=tcp) as server:
            if tcp:
                engine.host = f"tcp://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield engine
            finally:
                server.shutdown()
                thread.join()


def _server(path: str, handler: type[BaseHTTPRequestHandler], *, tcp: bool) -> socketserver.TCPServer:
    return (
        socketserver.TCPServer(("127.0.0.1", 0), handler)
        if tcp
        else socketserver.UnixStreamServer(path, handler)
    )


def _chunks(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    """RFC 9112, 7.1."""
    while size := int(handler.rfile.readline(), 16):
        yield handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()


def json_answer(value: Any, status: int = 200) -> tuple[int, bytes]:
    """Return an answer in JSON."""
    return status, json.dumps(value).encode()


def give_image(engine: FakeEngine, name: str, *variables: str) -> None:
    """Give the engine an image with these variables, which serves."""
    config = {"Env": [*variables], "Cmd": ["runsvdir", "/var/runit"]}
    answer = {"Id": IMAGE_ID, "Os": "linux", "Architecture": "amd64", "Config": config}
    engine.answers[f"GET /v1.48/images/{quote(name, safe='/:')}/json"] = json_answer(answer)
