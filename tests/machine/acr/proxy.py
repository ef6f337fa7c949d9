"""Forward requests to the real registry and storage, as streams."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping

from tests.machine.acr.messages import Answer, Request

__all__ = ["ask", "forward"]

_BLOCK = 256 * 1024
_OWN = {"connection", "transfer-encoding", "keep-alive", "expect", "date", "server"}


def forward(request: Request, host: str, *, without: frozenset[str] = frozenset()) -> Answer:
    """Forward a request to *host* and return its answer.

    Args:
        request: what was asked of us.
        host: `127.0.0.1:PORT`, plain HTTP.
        without: headers, in lower case, that are not passed on.
    """
    connection = http.client.HTTPConnection(host, timeout=600)
    headers = {name: value for name, value in request.headers.items() if name not in _OWN | without}
    chunked = "chunked" in request.headers.get("transfer-encoding", "").lower()
    has_body = chunked or request.headers.get("content-length", "0") != "0"
    if chunked:
        headers["transfer-encoding"] = "chunked"
    connection.request(
        request.method,
        request.target,
        body=request.blocks if has_body else None,
        headers=headers,
        encode_chunked=chunked,
    )
    answer = connection.getresponse()
    kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN]
    if request.method == "HEAD":
        connection.close()
        return Answer(status=answer.status, headers=kept)
    if answer.getheader("Content-Length") is None:
        body = answer.read()
        connection.close()
        return Answer(
            status=answer.status, headers=[*kept, ("Content-Length", str(len(body)))], blocks=[body]
        )
    return Answer(status=answer.status, headers=kept, blocks=_blocks(connection, answer))


def ask(
    host: str, method: str, target: str, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """Send a request to *host*; return status, lower-case headers and body."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, target, headers=dict(headers or {}))
        answer = connection.getresponse()
        received = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, received, answer.read()
    finally:
        connection.close()


def _blocks(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := answer.read(_BLOCK):
            yield block
    finally:
        connection.close()
