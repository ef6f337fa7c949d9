"""Sizes and durations for people."""

from __future__ import annotations

_UNITS = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def size_text(count: int) -> str:
    """Return a number of bytes in the largest decimal unit that it fills, such as `574 bytes` or `1.2 MB`."""
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} byte{'' if count == 1 else 's'}"


def memory_text(count: float) -> str:
    """Return bytes of memory, such as `129 MiB`."""
    return f"{count / 2**20:,.0f} MiB"


def duration_text(seconds: float) -> str:
    """Return a duration such as `0.4 ms`, `4 ms` or `1.2 s`."""
    milliseconds = seconds * 1000
    if 0 < milliseconds < 1:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
