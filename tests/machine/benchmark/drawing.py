"""Curves on two logarithmic scales, as an SVG picture and as a picture of letters for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from tests.machine.benchmark.curves import Panel, decades
from tests.machine.benchmark.figures import quantity

__all__ = ["letters", "svg"]

_COLOURS = ("#b2182b", "#e08214", "#2166ac", "#1b7837")
_WIDTH, _HEIGHT, _MARGIN, _TOP, _BOTTOM = 480, 400, 64, 40, 90
_COLUMNS, _LINES = 56, 16


def svg(panels: Sequence[Panel]) -> str:
    """One picture with the panels side by side."""
    parts = [line for number, panel in enumerate(panels) for line in _panel(panel, number * _WIDTH)]
    size = f'width="{_WIDTH * len(panels)}" height="{_HEIGHT}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([start, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def letters(panel: Panel) -> str:
    """A panel for a terminal: each curve is drawn by the first letter of its name, `*` where several meet."""
    grid = [[" "] * (_COLUMNS + 1) for _ in range(_LINES + 1)]
    for curve in panel.curves:
        for x, y in _between(panel, curve.points):
            column, line = round(x * _COLUMNS), round((1 - y) * _LINES)
            letter = curve.name[0].upper()
            grid[line][column] = letter if grid[line][column] in {" ", letter} else "*"
    low, high = panel.seconds
    marks = {
        round((1 - _share(tick, low, high)) * _LINES): quantity(tick, "s") for tick in decades(low, high)
    }
    rows = [f"{marks.get(number, ''):>9} |{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    names = list(panel.sizes.values())
    axis = names[0] + names[-1].rjust(_COLUMNS + 1 - len(names[0]))
    legend = ", ".join(f"{curve.name[0].upper()} {curve.name}" for curve in panel.curves)
    return "\n".join([panel.title, *rows, " " * 10 + "+" + "-" * (_COLUMNS + 1), " " * 11 + axis, legend])


def _panel(panel: Panel, left: int) -> Iterator[str]:
    (low, high), sizes = panel.seconds, list(panel.sizes)
    right, bottom = left + _WIDTH - 16, _HEIGHT - _BOTTOM
    yield f'<text x="{left + _MARGIN}" y="{_TOP - 16}" font-weight="bold">{escape(panel.title)}</text>'
    for tick in decades(low, high):
        y = _down(_share(tick, low, high))
        yield f'<line x1="{left + _MARGIN}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/>'
        label = escape(quantity(tick, "s"))
        yield f'<text x="{left + _MARGIN - 6}" y="{y + 4}" text-anchor="end">{label}</text>'
    for size, name in panel.sizes.items():
        x = _across(_share(size, sizes[0], sizes[-1]), left)
        yield f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="#ddd"/>'
        yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{escape(name)}</text>'
    for number, curve in enumerate(panel.curves):
        colour = _COLOURS[number % len(_COLOURS)]
        found = [
            (_across(_share(size, sizes[0], sizes[-1]), left), _down(_share(seconds, low, high)))
            for size, seconds in curve.points
        ]
        line = " ".join(f"{x},{y}" for x, y in found)
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in found)
        x, y = left + _MARGIN + 200 * (number % 2), bottom + 40 + 20 * (number // 2)
        yield f'<text x="{x}" y="{y}" fill="{colour}">{escape(curve.name)}</text>'


def _between(panel: Panel, points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Shares of width and height, 0 to 1: of each point, and of points on the lines between them."""
    sizes, (low, high) = list(panel.sizes), panel.seconds
    shares = [(_share(x, sizes[0], sizes[-1]), _share(y, low, high)) for x, y in points]
    for (x1, y1), (x2, y2) in pairwise(shares):
        steps = max(1, round((x2 - x1) * _COLUMNS))
        for step in range(steps + 1):
            yield x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps


def _share(value: float, low: float, high: float) -> float:
    """Where *value* lies between *low* and *high* on a logarithmic scale: 0 to 1."""
    return math.log(value / low) / math.log(high / low)


def _across(share: float, left: int) -> float:
    return round(left + _MARGIN + share * (_WIDTH - 16 - _MARGIN), 1)


def _down(share: float) -> float:
    return round(_TOP + (1 - share) * (_HEIGHT - _BOTTOM - _TOP), 1)
