"""Questions to services that an engine offers at its socket by gRPC, over one connection, and their answers.

The services are reached by an upgrade of HTTP/1.1 (POST /grpc), as docker's client reaches them:
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md over HTTP/2, https://www.rfc-editor.org/rfc/rfc9113.
gRPC's own library takes longer to import than an engine to answer. What HTTP/2 packs in headers is not unpacked here:
a service that refuses has no answer, and why is found out by asking in another way.
"""

from __future__ import annotations

import struct
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING

from azureml_tasks.engines.wire import AT_WORK, RefusedError, opened

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

__all__ = ["Services", "services"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW, _MAX_FRAME = 4, 5
"""Settings of whom one speaks to: the bytes it takes of a stream before it says more, and those of a frame."""
_HEAD = 9
"""Bytes of a frame before its payload."""
_MUCH = 1 << 24
"""Bytes that we take, of which an answer has far fewer."""
_WHOLE = 0
"""The number of the connection itself; those of our streams are odd."""


@contextmanager
def services(host: str) -> Iterator[Services]:
    """The services of the engine at *host*; leaving the block ends what they are still asked for.

    Raises:
        RefusedError: it has none.
        ConnectionError, TimeoutError: it goes away.
    """
    with closing(opened(host, AT_WORK)) as connection, connection.makefile("rb") as answers:
        _upgrade(connection, answers)
        settings = _frame(_SETTINGS, struct.pack(">HI", _INITIAL_WINDOW, _MUCH))
        connection.sendall(_PREFACE + settings + _frame(_WINDOW, struct.pack(">I", _MUCH)))
        yield Services(connection, answers)


def _upgrade(connection: socket.socket, answers: IO[bytes]) -> None:
    connection.sendall(
        b"POST /grpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    )
    status = answers.readline()
    while answers.readline().strip():
        pass
    if b" 101 " not in status:
        raise RefusedError(f"no service of this kind: {status.decode(errors='replace').strip()}")


class Services:
    """A connection on which questions are under way, each in a stream of its own."""

    def __init__(self, connection: socket.socket, answers: IO[bytes]) -> None:
        self._connection, self._answers = connection, answers
        self._initial, self._largest = 65_535, 16_384
        self._room = {_WHOLE: self._initial}
        self._to_say: dict[int, memoryview] = {}
        self._said: dict[int, bytes] = {}
        self._ended: set[int] = set()

    def ask(self, method: str, message: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Ask *method*, such as `/moby.buildkit.v1.Control/Solve`, and give the number to wait for its answer by."""
        stream = 2 * len(self._said) + 1
        self._said[stream], self._room[stream] = b"", self._initial
        packed = _headers({":path": method, **(headers or {})})
        self._connection.sendall(_frame(_HEADERS, packed, flags=_END_HEADERS, stream=stream))
        self._to_say[stream] = memoryview(_framed(message))
        self._go_on()
        return stream

    def answer(self, asked: int) -> bytes:
        """The message that answers the question of this number; others are heard meanwhile.

        Raises:
            RefusedError: the service does not do what it was asked.
            ConnectionError, TimeoutError: the engine goes away.
        """
        while asked not in self._ended:
            kind, flags, stream, payload = self._next()
            if kind == _DATA:
                self._said[stream] += payload
            elif kind in {_RESET, _GO_AWAY}:
                raise RefusedError("the service ends the connection")
            with suppress(BrokenPipeError):  # Who has said its last need not hear what we say to the rest.
                self._heed(kind, flags, stream, payload)
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                self._ended.add(stream)
        return _unframed(self._said[asked])

    def _next(self) -> tuple[int, int, int, bytes]:
        """Kind, flags, stream and payload of the next frame."""
        head = self._answers.read(_HEAD)
        if len(head) < _HEAD:
            raise ConnectionError("the engine ended the connection before it had answered")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return kind, flags, stream, self._answers.read(int.from_bytes(head[:3], "big"))

    def _heed(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Do what a frame asks for."""
        if kind == _WINDOW:
            self._room[stream] += struct.unpack(">I", payload)[0]
        elif kind == _PING and not flags & _ACK:
            self._connection.sendall(_frame(_PING, payload, flags=_ACK))
        elif kind == _SETTINGS and not flags & _ACK:
            told = dict(struct.iter_unpack(">HI", payload))
            more = told.get(_INITIAL_WINDOW, self._initial) - self._initial
            self._room = {at: room + (more if at else 0) for at, room in self._room.items()}
            self._initial, self._largest = self._initial + more, told.get(_MAX_FRAME, self._largest)
            self._connection.sendall(_frame(_SETTINGS, b"", flags=_ACK))
        self._go_on()

    def _go_on(self) -> None:
        """Send of each question what there is room for."""
        for stream in self._to_say:
            rooms = (_WHOLE, stream)
            while left := self._to_say[stream]:
                block = left[: max(0, min(self._largest, *(self._room[at] for at in rooms)))]
                if not block:
                    break
                self._to_say[stream] = left[len(block) :]
                self._room |= {at: self._room[at] - len(block) for at in rooms}
                flags = 0 if self._to_say[stream] else _END_STREAM
                self._connection.sendall(_frame(_DATA, bytes(block), flags=flags, stream=stream))


def _framed(message: bytes) -> bytes:
    """A message as gRPC puts it: not compressed, its size, its bytes."""
    return b"\0" + struct.pack(">I", len(message)) + message


def _unframed(said: bytes) -> bytes:
    if len(said) < 5 or said[:5] != _framed(said[5:])[:5]:  # noqa: PLR2004 -- what stands before a message
        raise RefusedError("the service gives no answer")
    return said[5:]


def _headers(more: Mapping[str, str]) -> bytes:
    """The headers of a question, each written out: https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2."""
    said = {":method": "POST", ":scheme": "http", ":authority": "localhost", **more}
    said |= {"content-type": "application/grpc", "te": "trailers"}
    texts = (text.encode() for pair in said.items() for text in pair)
    sized = [bytes([len(text)]) + text for text in texts]
    return b"".join(b"\0" + name + value for name, value in zip(sized[::2], sized[1::2], strict=True))


def _frame(kind: int, payload: bytes, *, flags: int = 0, stream: int = _WHOLE) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
