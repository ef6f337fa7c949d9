"""The lines of output that comes in blocks of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def lines_of(blocks: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Yield the lines of *blocks* without their ends; one longer than *longest* bytes comes in pieces."""
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        *whole, rest = block.split(b"\n")
        for line in whole:
            yield from _pieces(b"".join((*parts, line)), longest)
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > longest:
            *pieces, rest = _pieces(b"".join(parts), longest)
            yield from pieces
            parts, size = [rest], len(rest)
    if size:
        yield b"".join(parts)


def _pieces(line: bytes, longest: int) -> list[bytes]:
    return [line[start : start + longest] for start in range(0, len(line), longest)] or [b""]
