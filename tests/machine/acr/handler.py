"""The handler of a connection: it reads, records and answers requests, with faults."""

from __future__ import annotations

import socket
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast

from tests.machine.acr import faults
from tests.machine.acr.messages import Answer, Recorded, Request, json_answer

if TYPE_CHECKING:
    from tests.machine.acr.endpoint_server import EndpointServer

__all__ = ["Handler"]

_BLOCK = 256 * 1024


@dataclass
class _Cut(Exception):  # the connection is to end here
    pass


class Handler(BaseHTTPRequestHandler):
    """Serves the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def _serve(self) -> None:
        endpoint = cast("EndpointServer", self.server)
        split = urllib.parse.urlsplit(self.path)
        line = f"{self.command} {self.path}"
        headers: dict[str, str] = {}
        for name, value in self.headers.items():  # docker sends one Accept for each kind of manifest
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        self._unread = _Body(self, headers)
        request = Request(
            method=self.command,
            path=urllib.parse.unquote(split.path),
            query=urllib.parse.parse_qs(split.query, keep_blank_values=True),
            target=self.path,
            headers=headers,
            blocks=self._unread.blocks(),
        )
        self._record(endpoint, request, split.query)
        try:
            self._answer(endpoint, request, endpoint.struck.take(endpoint.name, line))
        except (_Cut, OSError):
            self._break()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _answer(self, endpoint: EndpointServer, request: Request, effect: faults.Effect | None) -> None:
        limit = None
        if isinstance(effect, faults.Reply):
            self._unread.drop()
            headers = [*effect.headers.items(), ("Content-Length", str(len(effect.body)))]
            plain = Answer(status=effect.status, headers=headers, blocks=[effect.body])
            full = json_answer(effect.status, effect.json, effect.headers)
            self._send(plain if effect.json is None else full, None)
            return
        if isinstance(effect, faults.CutRequest):
            self._unread.read(effect.after)
            raise _Cut
        if isinstance(effect, faults.Hold):
            effect.wait()
        if isinstance(effect, faults.CutAnswer):
            limit = effect.after
        if isinstance(effect, faults.Garble):
            request = replace(request, blocks=effect.garbled(request.blocks))
        answer = endpoint.answer(request)
        self._unread.drop()
        self._send(answer, limit)

    def _send(self, answer: Answer, limit: int | None) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" and limit is None:
            return
        for block in answer.blocks:
            if limit is not None and len(block) >= limit:
                self.wfile.write(block[:limit])
                raise _Cut
            limit = None if limit is None else limit - len(block)
            self.wfile.write(block)
            self.wfile.flush()
        if limit is not None:
            raise _Cut

    def _record(self, endpoint: EndpointServer, request: Request, query: str) -> None:
        token = request.bearer()
        claims = endpoint.issuer.claims(token) if token else None
        endpoint.requests.append(
            Recorded(
                endpoint=endpoint.name,
                method=request.method,
                path=request.path,
                query=query,
                bearer=token is not None,
                audience=claims.audience if claims else None,
                basic=request.headers.get("authorization", "").lower().startswith("basic "),
            )
        )

    def _break(self) -> None:
        """Break the connection."""
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is broken already
            return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is http.server's
        """Log nothing: tests read `requests`."""


@dataclass
class _Body:
    """The body of a request, with a length or in chunks, read as a stream."""

    handler: Handler
    headers: Mapping[str, str]
    _left: int = field(init=False)
    _chunked: bool = field(init=False)

    def __post_init__(self) -> None:
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self._left = int(self.headers.get("content-length", "0"))

    def blocks(self) -> Iterator[bytes]:
        """Yield the rest."""
        while block := self.read(_BLOCK):
            yield block

    def read(self, size: int) -> bytes:
        """Return up to *size* bytes; none at the end."""
        if self._chunked and not self._left:
            self._next_chunk()
        block = self.handler.rfile.read(min(size, self._left)) if self._left else b""
        if len(block) < min(size, self._left):
            raise _Cut  # the client went away
        self._left -= len(block)
        if self._chunked and block and not self._left:
            self.handler.rfile.readline()
        return block

    def drop(self) -> None:
        """Read the rest, so that the next request on this connection is found."""
        for _ in self.blocks():
            pass

    def _next_chunk(self) -> None:
        self._left = int(self.handler.rfile.readline().split(b";")[0] or b"0", 16)
        if not self._left:
            self._chunked = False
            while self.handler.rfile.readline().strip():  # trailers
                pass
