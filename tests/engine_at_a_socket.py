"""An engine that answers at a socket of the file system what it is told to."""

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

__all__ = ["Engine", "answering", "said"]


@dataclass(kw_only=True)
class Engine:
    """An engine at a socket, which answers what it is told to.

    Args:
        host: its address.
        answers: method and path -> status and body.
        headers: of every answer.
        asked: what it was asked, in order.
        sent: the body of each request that has one.
    """

    host: str
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def answer(self, request: str) -> tuple[int, bytes]:
        """The answer to *request*."""
        self.asked.append(request)
        return self.answers.get(request, (404, b'{"message": "no such thing"}'))


@contextmanager
def answering() -> Iterator[Engine]:
    """An engine; its socket lies in a folder of a short name, since the name of a socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        made = Engine(host=f"unix://{folder}/s")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = made.answer(f"{self.command} {self.path}")
                if not status:
                    self.wfile.write(body)  # It is no HTTP.
                    return
                self.send_response_only(status)  # without a Server of this module's own
                for name, value in (made.headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if body and self.command != "HEAD":  # Who waits for none may be gone by now.
                    self.wfile.write(body)

            def do_POST(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    made.sent.append(b"".join(_chunks(self)))
                elif length := int(self.headers.get("Content-Length", 0)):
                    made.sent.append(self.rfile.read(length))
                self.do_GET()

            do_HEAD = do_DELETE = do_GET

            def log_message(self, *_: Any) -> None:
                """Nobody asks for it."""

        with socketserver.UnixStreamServer(f"{folder}/s", Handler) as server:
            serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            serving.start()
            yield made
            server.shutdown()
            serving.join()


def _chunks(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    """RFC 9112, 7.1."""
    while size := int(handler.rfile.readline(), 16):
        yield handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()


def said(value: Any, status: int = 200) -> tuple[int, bytes]:
    """An answer in JSON."""
    return status, json.dumps(value).encode()
