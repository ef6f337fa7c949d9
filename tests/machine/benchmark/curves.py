"""How times grow with a size: curves, and whether they are straight lines on two logarithmic scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Curve", "Panel", "decades", "slope", "verdict"]

_LINEAR = 1.1
"""The steepest slope that still counts as linear: noise makes up for the tenth."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What one command takes.

    Args:
        name: the command.
        points: size and seconds, the sizes rising; both above 0.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Curves over the same sizes.

    Args:
        title: what grows, and what stays.
        sizes: size -> what it is called, in the order of the curves' points.
        curves: one for each command.
    """

    title: str
    sizes: dict[float, str]
    curves: Sequence[Curve]

    @property
    def seconds(self) -> tuple[float, float]:
        """The powers of ten around all times."""
        every = [seconds for curve in self.curves for _, seconds in curve.points]
        low = 10.0 ** math.floor(math.log10(min(every)))
        return low, max(10.0 ** math.ceil(math.log10(max(every))), low * 10)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line that fits best, both scales logarithmic: 1 is linear, 0 constant."""
    xs, ys = ([math.log(point[axis]) for point in points] for axis in (0, 1))
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((each - x) ** 2 for each in xs)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / across


def verdict(curve: Curve) -> str:
    """The slope, and whether the command grows no faster than linearly.

    What is judged is the end, from the last size but one to the last: before it a command's start may be most
    of its time.
    """
    last = slope(curve.points[-2:])
    judged = "linear or less" if last <= _LINEAR else "MORE THAN LINEAR"
    return f"slope {slope(curve.points):.2f}, {last:.2f} at the end: {judged}"


def decades(low: float, high: float) -> list[float]:
    """The powers of ten from *low* to *high*, which are some themselves."""
    first, last = round(math.log10(low)), round(math.log10(high))
    return [10.0**power for power in range(first, last + 1)]
