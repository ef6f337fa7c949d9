"""Requests and answers."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "Recorded", "Request", "json_answer"]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recorded request.

    Args:
        endpoint: the endpoint: `arm`, `aad`, `identity`, `registry` or `storage`.
        method: its method.
        path: its path without the query.
        query: its query, with what a SAS grants.
        bearer: whether it carried a bearer token.
        audience: for whom that token is; nothing without one, or for one that is not ours.
        basic: whether it carried a name and a password.
    """

    endpoint: str
    method: str
    path: str
    query: str
    bearer: bool
    audience: str | None
    basic: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request; *blocks* is its body, which can be read once."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    target: str
    headers: Mapping[str, str]
    blocks: Iterator[bytes]

    def body(self) -> bytes:
        """Return the body."""
        return b"".join(self.blocks)

    def form(self) -> dict[str, list[str]]:
        """Return the fields of a form."""
        return urllib.parse.parse_qs(self.body().decode(), keep_blank_values=True)

    def bearer(self) -> str | None:
        """Return the bearer token."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind.lower() == "bearer" else None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer; *blocks* are sent as a stream."""

    status: int
    headers: Iterable[tuple[str, str]] = ()
    blocks: Iterable[bytes] = ()


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with the JSON of *value*."""
    body = json.dumps(value).encode()
    sent = [("Content-Type", "application/json; charset=utf-8"), ("Content-Length", str(len(body)))]
    return Answer(status=status, headers=[*sent, *(headers or {}).items()], blocks=[body])
