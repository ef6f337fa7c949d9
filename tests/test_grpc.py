"""Questions by gRPC, and their answers; the other side is told frame by frame what to say."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from azureml_tasks.engines.grpc import services
from azureml_tasks.engines.wire import RefusedError

DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
METHOD = "/service/Method"


def called(host: str, method: str, content: bytes) -> bytes:
    """The answer to one question on a connection of its own."""
    with services(host) as engine:
        return engine.answer(engine.ask(method, content, {"build": "1"}))


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(content: bytes) -> bytes:
    """A message of gRPC."""
    return b"\0" + struct.pack(">I", len(content)) + content


class Service:
    """The other side of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.heard = connection, connection.makefile("rb")
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.left = b""

    def say(self, *words: bytes) -> None:
        """Send them."""
        self.connection.sendall(b"".join(words))

    def upgrade(self, status: bytes = UPGRADED) -> list[bytes]:
        """Hear the request of HTTP/1.1, and answer it; what was asked."""
        lines = [line.strip() for line in iter(self.heard.readline, b"\r\n")]
        self.say(status)
        return lines

    def next(self) -> tuple[int, int, int, bytes]:
        """The next frame: kind, flags, stream, payload."""
        head = self.heard.read(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        found = kind, flags, stream, self.heard.read(int.from_bytes(head[:3], "big"))
        self.frames.append(found)
        return found

    def body(self) -> bytes:
        """What is sent, to its end or to that of the room for it."""
        found = b""
        while len(found) < 65_535:
            kind, flags, _, payload = self.next()
            found += payload if kind == DATA else b""
            if kind == DATA and flags & 1:
                break
        return found

    def begin(self) -> bytes:
        """Everything up to the question, in so far as there is room for it."""
        self.upgrade()
        assert PREFACE == self.heard.read(len(PREFACE))
        self.say(frame(SETTINGS))
        return self.body()

    def answer(self, content: bytes) -> None:
        """Answer, and end the stream, as Go's server does: headers, a message, more headers."""
        self.say(frame(HEADERS, b"\x88", 4, 1), frame(DATA, content, 0, 1), frame(HEADERS, b"\x88", 5, 1))


@contextmanager
def offered(script: Callable[[Service], None]) -> Iterator[str]:
    """A service that does what *script* says; what goes wrong in it goes wrong in the test."""
    wrong: list[BaseException] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                service = Service(connection)
                script(service)
                connection.shutdown(socket.SHUT_WR)
                service.left = service.heard.read()
            except BaseException as error:  # noqa: BLE001 -- handed on
                wrong.append(error)

    with tempfile.TemporaryDirectory(prefix="grpc-") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(Path(folder) / "s"))
        listening.listen()
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield f"unix://{folder}/s"
        finally:
            serving.join()
    assert [] == wrong


def test_a_question_is_answered() -> None:
    """It is asked as gRPC asks over HTTP/2 after an upgrade, and the answer is the message of the stream."""
    asked: list[object] = []

    def script(service: Service) -> None:
        asked.extend(service.upgrade()[:1])
        asked.append(service.heard.read(len(PREFACE)))
        asked.append(service.body())
        service.answer(message(b"answer"))

    with offered(script) as host:
        assert b"answer" == called(host, METHOD, b"question")
    assert [b"POST /grpc HTTP/1.1", PREFACE, message(b"question")] == asked


def test_its_headers_are_those_of_grpc() -> None:
    """Each is written out, name and value after their sizes, for the one stream, which they do not end."""
    found: list[tuple[int, int, int, bytes]] = []

    def script(service: Service) -> None:
        service.begin()
        found.extend(service.frames)
        service.answer(message(b""))

    with offered(script) as host:
        assert b"" == called(host, METHOD, b"")
    (headers,) = (each for each in found if each[0] == HEADERS)
    texts = [b":method", b"POST", b":scheme", b"http", b":authority", b"localhost", b":path", METHOD.encode()]
    texts += [b"build", b"1", b"content-type", b"application/grpc", b"te", b"trailers"]
    sized = [bytes([len(text)]) + text for text in texts]
    written = b"".join(b"\0" + name + value for name, value in zip(sized[::2], sized[1::2], strict=True))
    assert (HEADERS, 4, 1, written) == headers


@pytest.mark.parametrize("much", [b"x" * 65_530, b"x" * 300_000], ids=["just what there is room for", "more"])
def test_a_long_question_waits_for_room(much: bytes) -> None:
    """No more is sent than the other side takes, nor in larger frames, and all of it in the end."""
    first: list[int] = []
    whole: list[bytes] = []

    def script(service: Service) -> None:
        found = service.begin()
        first.append(len(found))
        room = struct.pack(">I", 400_000)
        service.say(frame(WINDOW, room, 0, 0), frame(WINDOW, room, 0, 1))
        while len(found) < len(message(much)):
            kind, _, _, payload = service.next()
            found += payload if kind == DATA else b""
        whole.append(found)
        assert max(len(payload) for _, _, _, payload in service.frames) <= 16_384
        service.answer(message(b"thanks"))

    with offered(script) as host:
        assert b"thanks" == called(host, METHOD, much)
    assert ([65_535], [message(much)]) == (first, whole)


def test_what_the_other_side_sets_holds() -> None:
    """More room for a stream and larger frames, told before anything is read, are used; each setting is agreed to."""
    found: list[list[int]] = []

    def script(service: Service) -> None:
        service.upgrade()
        service.heard.read(len(PREFACE))
        settings = struct.pack(">HIHI", 4, 1_000_000, 5, 100_000)
        service.say(frame(SETTINGS, settings), frame(WINDOW, struct.pack(">I", 1_000_000), 0, 0))
        sizes: list[int] = []
        while sum(sizes) < 300_005:
            kind, _, _, payload = service.next()
            sizes += [len(payload)] if kind == DATA else []
        found.append(sizes)
        agreed = [flags for kind, flags, _, _ in service.frames if kind == SETTINGS]
        assert [0, 1] == agreed
        service.answer(message(b""))

    with offered(script) as host:
        called(host, METHOD, b"x" * 300_000)
    (sizes,) = found
    assert ([16_384, 16_384, 16_384, 16_383], 100_000) == (sizes[:4], max(sizes))


def test_a_sign_of_life_is_given() -> None:
    """Who asks whether we are still there gets its own word back; an answer in pieces is one."""
    back: list[tuple[int, int, int, bytes]] = []

    def script(service: Service) -> None:
        service.begin()
        service.say(frame(PING, b"12345678"))
        while service.next()[0] != PING:
            pass
        back.append(service.frames[-1])
        content = message(b"answer")
        service.say(frame(DATA, content[:3], 0, 1), frame(DATA, content[3:], 1, 1))

    with offered(script) as host:
        assert b"answer" == called(host, METHOD, b"")
    assert [(PING, 1, 0, b"12345678")] == back


Words = bytes
ENDS: dict[str, Words] = {
    "no message": frame(HEADERS, b"\x88", 5, 1),
    "half a message": frame(DATA, message(b"answer")[:-1], 1, 1),
    "two messages": frame(DATA, message(b"one") + message(b"two"), 1, 1),
    "a message that is compressed": frame(DATA, b"\1" + message(b"answer")[1:], 1, 1),
    "the end of the stream": frame(RESET, struct.pack(">I", 8), 0, 1),
    "the end of the connection": frame(GO_AWAY, struct.pack(">II", 1, 2)),
}


@pytest.mark.parametrize("end", ENDS)
def test_no_answer_is_a_refusal(end: str) -> None:
    """A service that fails says so in headers that nobody unpacks; that there is no whole answer is enough."""

    def script(service: Service) -> None:
        service.begin()
        service.say(ENDS[end])

    with offered(script) as host, pytest.raises(RefusedError, match="the service"):
        called(host, METHOD, b"question")


def test_questions_are_answered_in_any_order() -> None:
    """Each has a stream of its own, and whoever waits for one hears what is said of the others meanwhile."""
    asked: list[tuple[int, bytes]] = []

    def script(service: Service) -> None:
        service.begin()
        while len(asked) < 2:
            kind, _, stream, payload = service.next()
            asked.extend([(stream, payload)] if kind == DATA else [])
        first, second = message(b"first"), message(b"second")
        service.say(frame(DATA, second[:2], 0, 3), frame(DATA, first, 1, 1), frame(DATA, second[2:], 1, 3))
        service.say(frame(DATA, message(b"third"), 1, 5))

    with offered(script) as host, services(host) as engine:
        numbers = [engine.ask(METHOD, text) for text in (b"one", b"two", b"three")]
        answers = [engine.answer(number) for number in (numbers[1], numbers[2], numbers[0])]
    assert ([b"second", b"third", b"first"], [1, 3, 5]) == (answers, numbers)
    assert [(3, message(b"two")), (5, message(b"three"))] == asked


def test_an_engine_without_the_service_refuses() -> None:
    """What it answers in HTTP/1.1 is said."""

    def script(service: Service) -> None:
        service.upgrade(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with offered(script) as host, pytest.raises(RefusedError) as caught:
        called(host, METHOD, b"question")
    assert "no service of this kind: HTTP/1.1 404 Not Found" == str(caught.value)


def test_an_engine_that_goes_away_is_no_refusal() -> None:
    """A connection that ends before the answer is an error of its own, as of every other question."""

    def script(service: Service) -> None:
        service.begin()

    with offered(script) as host, pytest.raises(ConnectionError):
        called(host, METHOD, b"question")


def test_half_a_frame_is_no_answer() -> None:
    """It ends like a connection that ends before the answer."""

    def script(service: Service) -> None:
        service.begin()
        service.say(frame(PING, b"12345678")[:5])

    with offered(script) as host, pytest.raises(ConnectionError):
        called(host, METHOD, b"question")


def test_the_connection_is_closed(tmp_path: Path) -> None:
    """The other side sees its end; there is none to an engine that is not there."""
    ended: list[Service] = []

    def script(service: Service) -> None:
        service.begin()
        service.answer(message(b""))
        ended.append(service)

    with offered(script) as host:
        called(host, METHOD, b"")
    assert [frame(SETTINGS, b"", 1)] == [service.left for service in ended]
    with pytest.raises(FileNotFoundError):
        called(f"unix://{tmp_path}/none", METHOD, b"")
