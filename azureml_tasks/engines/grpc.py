"""One question to a service that an engine offers at its socket by gRPC, and its one answer.

The service is reached by an upgrade of HTTP/1.1 (POST /grpc), as docker's client reaches it:
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md over HTTP/2, https://www.rfc-editor.org/rfc/rfc9113.
gRPC's own library takes longer to import than an engine to answer. What HTTP/2 packs in headers is not unpacked here:
a service that refuses has no answer, and why is found out by asking in another way.
"""

from __future__ import annotations

import struct
from contextlib import closing, suppress
from typing import IO, TYPE_CHECKING

from azureml_tasks.engines.wire import AT_WORK, RefusedError, opened

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

__all__ = ["called"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW, _MAX_FRAME = 4, 5
"""Settings of whom one speaks to: the bytes it takes before it says more, and those of a frame."""
_MUCH = 1 << 24
"""Bytes that we take, of which an answer has far fewer."""
_STREAM = 1
_WHOLE = 0
"""The number of the connection itself, where streams count from 1."""


def called(host: str, method: str, message: bytes) -> bytes:
    """The answer of *method*, such as `/moby.buildkit.v1.Control/Solve`, to *message*.

    Args:
        host: of the engine, such as `unix:///var/run/docker.sock`.
        method: service and method.
        message: in the wire format of Protocol Buffers, as the answer.

    Raises:
        RefusedError: the engine has no such service, or the service does not do what it is asked.
        ConnectionError, TimeoutError: it goes away.
    """
    with closing(opened(host, AT_WORK)) as connection, connection.makefile("rb") as answers:
        _upgrade(connection, answers)
        settings = struct.pack(">HI", _INITIAL_WINDOW, _MUCH)
        window = _frame(_WINDOW, struct.pack(">I", _MUCH))
        headers = _frame(_HEADERS, _headers(method), flags=_END_HEADERS, stream=_STREAM)
        connection.sendall(_PREFACE + _frame(_SETTINGS, settings) + window + headers)
        sending, said = _Sending(connection, _framed(message)), b""
        sending.go_on()
        for kind, flags, stream, payload in _frames(answers):
            if kind == _DATA:
                said += payload
            elif kind in {_RESET, _GO_AWAY}:
                raise RefusedError("the service ends the connection")
            with suppress(BrokenPipeError):  # Who has said its last need not hear what we say to the rest.
                sending.heed(kind, flags, stream, payload)
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                break
    return _unframed(said)


def _upgrade(connection: socket.socket, answers: IO[bytes]) -> None:
    connection.sendall(
        b"POST /grpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    )
    status = answers.readline()
    while answers.readline().strip():
        pass
    if b" 101 " not in status:
        raise RefusedError(f"no service of this kind: {status.decode(errors='replace').strip()}")


def _framed(message: bytes) -> bytes:
    """A message as gRPC puts it: not compressed, its size, its bytes."""
    return b"\0" + struct.pack(">I", len(message)) + message


def _unframed(said: bytes) -> bytes:
    if len(said) < 5 or said[:5] != _framed(said[5:])[:5]:  # noqa: PLR2004 -- what stands before a message
        raise RefusedError("the service gives no answer")
    return said[5:]


def _headers(method: str) -> bytes:
    """The headers of a call, each written out: https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2."""
    said = {":method": "POST", ":scheme": "http", ":path": method, ":authority": "localhost"}
    said |= {"content-type": "application/grpc", "te": "trailers"}
    texts = (text.encode() for pair in said.items() for text in pair)
    sized = [bytes([len(text)]) + text for text in texts]
    return b"".join(b"\0" + name + value for name, value in zip(sized[::2], sized[1::2], strict=True))


def _frame(kind: int, payload: bytes, *, flags: int = 0, stream: int = _WHOLE) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _frames(answers: IO[bytes]) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each frame."""
    while head := answers.read(9):
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        yield kind, flags, stream, answers.read(int.from_bytes(head[:3], "big"))
    raise ConnectionError("the engine ended the connection before it had answered")


class _Sending:
    """A body on its way, as far as the other side has room for it."""

    def __init__(self, connection: socket.socket, body: bytes) -> None:
        self._connection, self._body = connection, memoryview(body)
        self._room = {_WHOLE: 65_535, _STREAM: 65_535}
        self._initial, self._largest = 65_535, 16_384

    def go_on(self) -> None:
        """Send what there is room for."""
        while self._body and (size := min(self._largest, *self._room.values())) > 0:
            block, self._body = self._body[:size], self._body[size:]
            flags = 0 if self._body else _END_STREAM
            self._connection.sendall(_frame(_DATA, bytes(block), flags=flags, stream=_STREAM))
            self._room = {stream: room - len(block) for stream, room in self._room.items()}

    def heed(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Do what a frame of the other side asks for."""
        if kind == _WINDOW:
            self._room[stream] += struct.unpack(">I", payload)[0]
        elif kind == _PING and not flags & _ACK:
            self._connection.sendall(_frame(_PING, payload, flags=_ACK))
        elif kind == _SETTINGS and not flags & _ACK:
            told = dict(struct.iter_unpack(">HI", payload))
            self._room[_STREAM] += told.get(_INITIAL_WINDOW, self._initial) - self._initial
            self._initial = told.get(_INITIAL_WINDOW, self._initial)
            self._largest = told.get(_MAX_FRAME, self._largest)
            self._connection.sendall(_frame(_SETTINGS, b"", flags=_ACK))
        self.go_on()
