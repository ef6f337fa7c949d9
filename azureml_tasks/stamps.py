"""What tells, without reading a file, that it has not changed: the way git's index knows its files.

ctime cannot be set by a program, so a file whose mtime was put back has another stamp. What changed within the
clock's reach of the moment when its stamp was taken may change again and bear the same times ("racy git",
https://git-scm.com/docs/racy-git); such a stamp tells nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

__all__ = ["Stamp", "settled", "stamp_of"]

Stamp = tuple[int, int, int, int]
"""Size in bytes, mtime and ctime in nanoseconds since 1970, inode."""

_SECOND = 10**9
_COARSE = 2 * _SECOND
"""FAT counts in steps of two seconds."""
_FINE = _SECOND // 20
"""Others stamp with the kernel's tick, 1 to 10 ms apart."""


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of what has *status*."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def settled(stamp: Stamp, now: int) -> bool:
    """Whether a change after *now*, nanoseconds since 1970, would give another stamp."""
    _, mtime, ctime, _ = stamp
    step = _FINE if mtime % _SECOND or ctime % _SECOND else _COARSE
    return max(mtime, ctime) < now - step
