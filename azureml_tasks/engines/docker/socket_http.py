"""HTTP to an engine at a Unix socket by the standard library, because Docker's SDK takes 0.1 s to import."""

from __future__ import annotations

import json
import socket
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from email.message import Message

_BLOCK = 64 * 1024  # bytes
_LONGEST_MESSAGE = 10_000  # characters


class RefusedError(Exception):
    """The engine refuses a request; the text is its message."""


class UnreadableAnswer(Exception):
    """The engine answers with something else than its API describes; the text says with what."""


class Response(NamedTuple):
    """A whole answer of the engine."""

    status: int
    headers: Message
    body: bytes


class _SocketConnection(HTTPConnection):
    """A connection to the socket file of *host*, such as `unix:///var/run/docker.sock`."""

    def __init__(self, host: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = host.removeprefix("unix://")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError as error:  # FileNotFoundError and PermissionError are not about the user's files.
            raise ConnectionError(str(error)) from error


def is_socket(host: str) -> bool:
    """Return whether the engine's address is a Unix socket that Python can connect to, as it cannot on Windows."""
    return host.startswith("unix://") and has_sockets()


def has_sockets() -> bool:
    """Return whether this machine's Python has Unix sockets."""
    return hasattr(socket, "AF_UNIX")


def request(host: str, method: str, path: str, *, timeout: float) -> Response:
    """Send a request without a body and return the answer.

    Args:
        host: such as `unix:///var/run/docker.sock`.
        method: such as `GET`.
        path: with the query, such as `/v1.41/images/NAME/json`.
        timeout: seconds to wait for each read.

    Raises:
        OSError: the engine cannot be reached; its cause is the system's own error.
        HTTPException: the answer is not HTTP, or ends too early.
    """
    with closing(_SocketConnection(host, timeout)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read())


def send_archive(host: str, path: str, archive: Iterable[bytes], *, timeout: float) -> Iterator[bytes]:
    """Send a tar archive and yield each line of the answer as it arrives; arguments and errors as of `request`.

    Raises:
        RefusedError: the engine refuses the request.
    """
    with closing(_SocketConnection(host, timeout)) as connection:
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        # An engine that refuses may answer and close before everything is sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", path, body=_joined(archive), headers=headers, encode_chunked=True)
        response = connection.getresponse()
        if response.status != HTTPStatus.OK:
            raise refusal(response.status, response.read())
        yield from (line for line in response if line.strip())


def refusal(status: int, body: bytes) -> RefusedError:
    """Return the error for an answer with an error status: its member `message`, else its text, else its status."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = body.decode(errors="replace").strip()
    return RefusedError(message[:_LONGEST_MESSAGE] or f"HTTP status {status}")


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join small blocks: the engine spends as much on a small chunk as on a large one."""
    joined = bytearray()
    for block in blocks:
        if not joined and len(block) >= _BLOCK:
            yield block
            continue
        joined += block
        if len(joined) >= _BLOCK:
            yield bytes(joined)
            joined.clear()
    if joined:
        yield bytes(joined)
