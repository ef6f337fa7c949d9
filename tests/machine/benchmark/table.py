"""The rows as text, ratios first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.machine.benchmark.figures import Unit, quantity, spread
from tests.machine.benchmark.rows import Measured, Missing, Row, at_mark, mark_in_words, ratio, short

__all__ = ["closing_line", "summary", "text"]

_INDENT = " " * 12


def text(row: Row | Missing) -> str:
    """One row: ratio, verdict, case and opponent; below it the mark, and both sides' medians and quartiles."""
    return "\n".join(_missing(row) if isinstance(row, Missing) else _row(row))


def summary(rows: Sequence[Row | Missing]) -> str:
    """All rows in a table: the ratio, what was to be reached, and whether it was."""
    return "\n".join(["   ratio         mark  reached  row", *map(_summed_up, rows)])


def closing_line(rows: Sequence[Row | Missing]) -> str:
    """How many rows are at their mark."""
    measured = [row for row in rows if isinstance(row, Row)]
    good = sum(map(at_mark, measured))
    missing = len(rows) - len(measured)
    return f"{good} at their mark, {len(measured) - good} short of it, {missing} not measured"


def _summed_up(row: Row | Missing) -> str:
    if isinstance(row, Missing):
        return f"{'-':>8} {short(row.heading.mark, 's'):>12}  {'-':<7}  {row.heading}"
    reached = "yes" if at_mark(row) else "NO"
    return (
        f"{_times(ratio(row).median):>8} {short(row.heading.mark, row.unit):>12}  {reached:<7}  {row.heading}"
    )


def _row(row: Row) -> Iterator[str]:
    ratios = ratio(row)
    verdict = "at its mark" if at_mark(row) else "SHORT OF ITS MARK"
    yield f"{_times(ratios.median):>8} x  {verdict:<17}  {row.heading}"
    yield f"{_INDENT}ratio   {_times(ratios.low)} to {_times(ratios.high)}"
    yield f"{_INDENT}mark    {mark_in_words(row)}"
    yield f"{_INDENT}ours    {_side(row.ours, row.unit)}"
    yield f"{_INDENT}theirs  {_side(row.theirs, row.unit)}"
    for each in row.beside:
        yield f"{_INDENT}beside  {_side(each, row.unit)}"
    for note in row.notes:
        yield f"{_INDENT}{note}"


def _missing(row: Missing) -> Iterator[str]:
    yield f"{'-':>8}    {'not measured':<17}  {row.heading}"
    yield from (f"{_INDENT}{line}" for line in row.why.splitlines())


def _side(side: Measured, unit: Unit) -> str:
    figures = spread(side.numbers)
    low, high = quantity(figures.low, unit), quantity(figures.high, unit)
    return f"{quantity(figures.median, unit)} ({low} to {high})  {side.description}"


def _times(number: float) -> str:
    if number < 0.001:
        return "<0.001"
    return f"{number:.3f}" if number < 1 else f"{number:.2f}"
