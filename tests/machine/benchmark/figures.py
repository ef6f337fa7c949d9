"""Measured numbers: their median, their spread, and how they are written for people."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Spread", "Unit", "quantity", "spread"]

Unit = Literal["s", "B"]
"""Seconds or bytes."""

_BYTES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Where the middle half of some numbers lies.

    Args:
        low: the first quartile.
        median: half of them are below.
        high: the third quartile.
    """

    low: float
    median: float
    high: float


def spread(numbers: Sequence[float]) -> Spread:
    """Median and quartiles of *numbers*, of which there is at least one."""
    if len(numbers) == 1:
        return Spread(low=numbers[0], median=numbers[0], high=numbers[0])
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return Spread(low=low, median=median, high=high)


def quantity(number: float, unit: Unit) -> str:
    """*number* of *unit* as a person reads it: "412 ms", "6.21 s", "524.1 MB"."""
    if unit == "B":
        return _bytes(number)
    if abs(number) < 1:
        return f"{number * 1000:.0f} ms"
    return f"{number:.2f} s" if abs(number) < 100 else f"{number:.0f} s"


def _bytes(number: float) -> str:
    for size, name in _BYTES:
        if abs(number) >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:.0f} bytes"
