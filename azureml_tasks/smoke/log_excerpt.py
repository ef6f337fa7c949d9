"""A container's log in constant memory: its beginning, its end, and how much is between them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_BEGINNING = 256 * 1024
"""Bytes: a traceback of the start is in them."""
_END = 1024 * 1024
"""Bytes: what came last, with the traceback of a failed request."""

_QUIET = 5
_READINGS = 15
_PAUSE = 0.2  # seconds


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


def settled(read: Callable[[], LogExcerpt]) -> LogExcerpt:
    """Return the log once it has not changed for a second: an engine writes what a container prints a moment later.

    Of a container that goes on printing, it is the reading after three seconds.

    Args:
        read: reads the log of a running container.
    """
    log, equal = read(), 0
    for _ in range(_READINGS):
        time.sleep(_PAUSE)  # Nothing tells when an engine has written the last line.
        before, log = log, read()
        equal = equal + 1 if log == before else 0
        if equal == _QUIET:
            break
    return log


def _text(data: bytes) -> str:
    return clean(data.decode(errors="replace"))
