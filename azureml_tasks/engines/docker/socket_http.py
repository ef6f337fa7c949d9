"""Questions to an engine at a socket of this machine, without the docker SDK, which takes 0.1 s to import.

Whatever is not plain (TLS, SSH, an answer that is an error) is left to the SDK: `ask` then gives None.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "AT_WORK",
    "CREATED",
    "NOT_FOUND",
    "OK",
    "RefusedError",
    "ask",
    "greeting",
    "image_path",
    "opened",
    "plain_host",
    "send",
]

OK, CREATED, NOT_FOUND = 200, 201, 404
"""https://www.rfc-editor.org/rfc/rfc9110#section-15; the library that has them by name takes long to import."""
_SECONDS = 10.0
AT_WORK = 600.0
"""Seconds without a word from an engine that is at work."""
_SENT_AT_ONCE = 64 * 1024  # bytes
_DEFAULT = "unix:///var/run/docker.sock"


def opened(host: str, seconds: float) -> socket.socket:
    """A connection to the engine at *host*, a socket in the file system, that waits for each word so many *seconds*."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(seconds)
    try:
        made.connect(host.removeprefix("unix://"))
    except BaseException:
        made.close()
        raise
    return made


def ask(host: str, path: str, *, method: str = "GET", seconds: float = _SECONDS) -> tuple[int, Any] | None:
    """The status and the JSON of an answer of the engine at *host*; None where it cannot be had in this way.

    Args:
        host: such as `unix:///var/run/docker.sock`.
        path: of the API, such as `/v1.41/images/NAME/json`.
        method: of the request.
        seconds: without a word until it cannot be had.
    """
    answer = _answer(host, path, method, seconds)
    try:
        return answer and (answer[0], json.loads(answer[2]) if answer[2] else None)
    except ValueError:
        return None


def greeting(host: str) -> Mapping[str, str]:
    """The headers of the answer to a ping, in lower case; empty where there is none.

    It takes a tenth of the time of `/version`, for which Docker's engine asks other programs.

    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemPing
    """
    answer = _answer(host, "/_ping", "GET", _SECONDS)
    return answer[1] if answer and answer[0] == OK else {}


def _answer(host: str, path: str, method: str, seconds: float) -> tuple[int, dict[str, str], bytes] | None:
    """Status, headers and body of an answer in HTTP/1.0, which comes whole, and not in chunks.

    The library takes longer to import, and to read the headers, than an engine to tell of an image.
    """
    if not host.startswith("unix://"):
        return None
    length = "" if method == "GET" else "Content-Length: 0\r\n"
    asked = f"{method} {path} HTTP/1.0\r\nHost: localhost\r\n{length}\r\n"
    try:
        with closing(opened(host, seconds)) as connection, connection.makefile("rb") as answers:
            connection.sendall(asked.encode())
            return _read(answers)
    except (OSError, ValueError):
        return None


def _read(answers: IO[bytes]) -> tuple[int, dict[str, str], bytes]:
    """The same as it comes; ValueError where that is no answer, or not a whole one."""
    version, status, *_ = answers.readline().decode("latin-1").split()
    lines = (line.decode("latin-1") for line in iter(lambda: answers.readline().strip(), b""))
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    size = int(headers.get("content-length", -1))
    body = answers.read(size)
    if not version.startswith("HTTP/1.") or "transfer-encoding" in headers or len(body) < size:
        raise ValueError(status)
    return int(status), headers, body


class RefusedError(Exception):
    """The engine does not do what it is asked; the message is what it says."""


def send(host: str, path: str, feed: Iterable[bytes]) -> Iterator[bytes]:
    """Send an archive to the engine at *host*, and give each line of its answer as it comes.

    Raises:
        RefusedError: it does not begin.
        ConnectionError, TimeoutError, HTTPException: it goes away.
    """
    from http.client import HTTPConnection

    with closing(HTTPConnection("localhost")) as connection:
        connection.sock = opened(host, AT_WORK)
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        # Who refuses may do so before everything is sent.
        with suppress(BrokenPipeError):
            connection.request("POST", path, body=_gathered(feed), headers=headers, encode_chunked=True)
        answer = connection.getresponse()
        if answer.status != OK:
            raise RefusedError(_message(answer.read()) or answer.reason)
        yield from (line for line in answer if line.strip())


def _gathered(feed: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer blocks: each of many small ones would cost the engine as much as a large one."""
    gathered = bytearray()
    for block in feed:
        if not gathered and len(block) >= _SENT_AT_ONCE:
            yield block
            continue
        gathered += block
        if len(gathered) >= _SENT_AT_ONCE:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _message(content: bytes) -> str:
    """What a refusal says: its member `message`, or all of it, as something on the way to the engine words it."""
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace").strip()


def image_path(reference: str) -> str:
    """The path of an image in the API; a reference keeps its slashes."""
    return f"/images/{quote(reference, safe='/:@')}"


def plain_host() -> tuple[str, str]:
    """The docker context in force and the address of its engine; empty where only the SDK can tell.

    DOCKER_HOST, DOCKER_CONTEXT, then `currentContext` of docker's configuration, in that order:
    https://docs.docker.com/engine/manage-resources/contexts/#use-a-different-context.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return "default", host
    try:
        home = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        name = os.environ.get("DOCKER_CONTEXT") or _current(home / "config.json")
        return name, _DEFAULT if name == "default" else _host_of(home, name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return "", ""


def _current(configuration: Path) -> str:
    try:
        return json.loads(configuration.read_bytes()).get("currentContext") or "default"
    except FileNotFoundError:
        return "default"


def _host_of(home: Path, name: str) -> str:
    """The engine's address as the docker client has stored it, in a folder that is named by the context's hash."""
    place = sha256(name.encode()).hexdigest()
    found = json.loads((home / "contexts" / "meta" / place / "meta.json").read_bytes())
    return str(found["Endpoints"]["docker"]["Host"])
