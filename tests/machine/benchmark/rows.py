"""What the benchmark says: a row compares ours with something else, and knows its mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.machine.benchmark.figures import Spread, Unit, quantity, spread

__all__ = [
    "Heading",
    "Mark",
    "Measured",
    "Missing",
    "Row",
    "at_mark",
    "difference",
    "mark_in_words",
    "ratio",
    "short",
]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How far a row shall reach; exactly one of these is set.

    Args:
        times: ours is at most so many times the other.
        more: ours is at most so much more than the other, in the row's unit.
        most: ours is at most so much, whatever the other is.
    """

    times: float | None = None
    more: float | None = None
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One side of a row.

    Args:
        description: the commands, and which builder and client they used.
        numbers: one of each round, in the row's unit.
    """

    description: str
    numbers: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What a row is about, before anything is measured.

    Args:
        name: the case.
        against: what ours is compared with.
        mark: how far it shall reach.
    """

    name: str
    against: str
    mark: Mark

    def __str__(self) -> str:
        return f"{self.name} | {self.against}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A comparison that was made.

    Args:
        heading: what it is about.
        ours: our numbers.
        theirs: the other's; as many, round by round.
        unit: of all numbers.
        beside: what is printed for comparison and judged by nobody.
        notes: lines of text that say more.
    """

    heading: Heading
    ours: Measured
    theirs: Measured
    unit: Unit = "s"
    beside: Sequence[Measured] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A comparison that could not be made, and why, in a sentence and what a command said."""

    heading: Heading
    why: str


def ratio(row: Row) -> Spread:
    """Ours by theirs, taken within each round, so that a slow round slows both."""
    return spread([ours / theirs for ours, theirs in zip(row.ours.numbers, row.theirs.numbers, strict=True)])


def difference(row: Row) -> Spread:
    """Ours without theirs, taken within each round, in the row's unit."""
    return spread([ours - theirs for ours, theirs in zip(row.ours.numbers, row.theirs.numbers, strict=True)])


def at_mark(row: Row) -> bool:
    """Whether the median reaches the mark."""
    mark = row.heading.mark
    if mark.times is not None:
        return ratio(row).median <= mark.times
    if mark.more is not None:
        return difference(row).median <= mark.more
    return mark.most is None or spread(row.ours.numbers).median <= mark.most


def short(mark: Mark, unit: Unit) -> str:
    """The mark in a few letters: `0.2 x`, `+ 60 ms`, `100.0 MB`."""
    if mark.times is not None:
        return f"{mark.times:g} x"
    return f"+ {quantity(mark.more, unit)}" if mark.more is not None else quantity(mark.most or 0.0, unit)


def mark_in_words(row: Row) -> str:
    """The mark in words, with what was found where the ratio alone does not say it."""
    mark = row.heading.mark
    if mark.times is not None:
        return f"{mark.times:g} times at most"
    if mark.more is not None:
        gap = difference(row)
        low, high = quantity(gap.low, row.unit), quantity(gap.high, row.unit)
        more = f"{quantity(mark.more, row.unit)} more at most"
        word = "more" if gap.median >= 0 else "less"
        return f"{more}; it is {quantity(abs(gap.median), row.unit)} {word} ({low} to {high} more)"
    return f"{quantity(mark.most or 0.0, row.unit)} at most"
