"""The HTTP server of an endpoint, which records requests and injects faults."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any

from tests.machine.acr import faults
from tests.machine.acr.handler import Handler
from tests.machine.acr.messages import Answer, Recorded, Request, json_answer
from tests.machine.acr.tokens import Issuer

__all__ = ["EndpointServer"]

_HANDSHAKE_SECONDS = 60


class EndpointServer(ThreadingHTTPServer):
    """A server on a free port, in threads of this process.

    Args:
        name: the endpoint's name.
        struck: the faults in force.
        issuer: knows the tokens that come with requests.
        requests: where they are recorded.
        context: the server's side of TLS, for HTTPS.
    """

    daemon_threads = False  # so that the end waits for what is under way
    request_queue_size = 128

    def __init__(
        self,
        name: str,
        *,
        struck: faults.Faults,
        issuer: Issuer,
        requests: list[Recorded],
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.struck, self.issuer, self.requests = name, struck, issuer, requests
        self.context = context
        self.answer: Callable[[Request], Answer] = _nothing
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"{'https' if context else 'http'}://{self.host}"
        self._open: set[socket.socket] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=name, daemon=True)

    def start(self, answer: Callable[[Request], Answer]) -> None:
        """Start to answer requests with *answer*."""
        self.answer = answer
        self._thread.start()

    def stop(self) -> None:
        """Stop."""
        if self._thread.is_alive():
            self.shutdown()
        self._stopping = True
        for connection in list(self._open):
            _cut(connection)
        self.server_close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its own thread, so that a slow handshake blocks no other."""
        if self.context:
            request.settimeout(_HANDSHAKE_SECONDS)
            request = self.context.wrap_socket(request, server_side=True)
            request.settimeout(None)
        self._open.add(request)
        if self._stopping:  # Nobody else cuts a connection that has only just come.
            _cut(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections: clients go away, and faults cut connections."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # the client was first
        connection.shutdown(socket.SHUT_RDWR)


def _nothing(_request: Request) -> Answer:
    return json_answer(503, {"error": {"code": "NotStarted", "message": "not started yet"}})
