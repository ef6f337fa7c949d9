"""A container's log in constant memory: its beginning, its end, and how much is between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEGINNING = 256 * 1024
"""Bytes: a traceback of the start is in them."""
_END = 1024 * 1024
"""Bytes: what came last, with the traceback of a failed request."""


class LogExcerpt(NamedTuple):
    """The log of a container.

    Args:
        text: all of it; of a long one the beginning and the end, with a line between them that says so.
        lines: how many lines the whole log has.
    """

    text: str = ""
    lines: int = 0


def excerpt(blocks: Iterable[bytes]) -> LogExcerpt:
    """Return the excerpt of a log that comes in *blocks* of bytes, safe to print."""
    beginning, end = bytearray(), bytearray()
    total, breaks, last = 0, 0, b""
    for block in blocks:
        total, breaks, last = total + len(block), breaks + block.count(b"\n"), block[-1:] or last
        room = _BEGINNING - len(beginning)
        beginning += block[:room]
        end += block[max(0, room) :]
        if len(end) > 2 * _END:
            del end[:-_END]
    lines = breaks + (last not in {b"", b"\n"})
    left_out = total - len(beginning) - min(len(end), _END)
    if not left_out:
        return LogExcerpt(text=_text(bytes(beginning + end)), lines=lines)
    between = f"\n… {left_out:,} bytes of the log are left out here …\n"
    return LogExcerpt(text=_text(bytes(beginning)) + between + _text(bytes(end[-_END:])), lines=lines)


def _text(data: bytes) -> str:
    return clean(data.decode(errors="replace"))
