"""A small HTTP server whose answers are those of a function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Behaviour", "Reply", "Server", "serving"]

Reply = tuple[int, bytes]
Behaviour = Callable[[str, str, bytes], "Reply | None"]


class Server(ThreadingHTTPServer):
    """Answers what a function returns: (method, path, body) → (status, body), or None to close the connection."""

    def __init__(self, behaviour: Behaviour, *, listening: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server_bind()
        if listening:
            self.server_activate()
        self.behaviour = behaviour
        self.requests: list[tuple[str, str, str | None, bytes]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """The base URL of the configuration."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Passes each request to the server's function."""

    server: Server

    def do_GET(self) -> None:
        """Answer any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, self.headers.get("Content-Type"), body))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        reply = self.server.behaviour(self.command, self.path, body)
        if reply is not None:
            self.send_response_only(reply[0])
            self.send_header("X-Kind", "one")
            self.send_header("X-Kind", "two")
            self.end_headers()
            self.wfile.write(reply[1])

    do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = do_GET


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """A server on a free port."""
    with Server(behaviour) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
