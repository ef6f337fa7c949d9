"""A server on a TCP port that gives the answers of a registry which a test sets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Behaviour", "Reply", "Requests", "json_reply", "running_registry"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a registry answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Behaviour = Callable[[str, str, str], Reply]
"""(method, path with query, Authorization or "") -> the answer."""
Requests = list[tuple[str, str, str]]


@contextmanager
def running_registry(behaviour: Behaviour) -> Iterator[tuple[str, Requests]]:
    """Run a server on a free port; yield its host and the requests that it gets."""
    requests: Requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append((self.command, self.path, self.headers.get("Authorization", "")))
            reply = behaviour(*requests[-1])
            self.send_response_only(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", requests
        finally:
            server.shutdown()
            thread.join()


def json_reply(value: object, **headers: str) -> Reply:
    """An answer in JSON."""
    return Reply(headers=headers, body=json.dumps(value).encode())
