"""Contenders that take turns, round by round, so that a machine that slows down slows all of them."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.machine.benchmark.figures import quantity
from tests.machine.benchmark.rows import Heading, Measured, Missing, Row
from tests.machine.benchmark.timing import Command, FailedError, seconds

__all__ = ["Comparison", "Contender", "Result", "compared", "needed", "race", "say"]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One who is timed.

    Args:
        name: by which comparisons name it.
        description: its commands and tools, for people.
        commands: what is timed, together.
        before: what is done before each time and is not timed.
    """

    name: str
    description: str
    commands: Sequence[Command]
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Comparison(Heading):
    """A row that is to be made of a race's times.

    Args:
        ours: a contender.
        theirs: contenders whose times are added up.
        beside: contenders that are printed for comparison.
    """

    ours: str
    theirs: Sequence[str]
    beside: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a race.

    Args:
        contenders: by name, those that took part.
        times: name -> seconds of each round.
        failed: name -> why it could not be timed.
    """

    contenders: Mapping[str, Contender]
    times: Mapping[str, list[float]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    def side(self, names: Sequence[str]) -> Measured:
        """The times of *names*, added up round by round."""
        description = " + ".join(self.contenders[name].description for name in names)
        return Measured(
            description=description,
            numbers=[sum(each) for each in zip(*(self.times[name] for name in names), strict=True)],
        )


def needed(comparisons: Sequence[Comparison]) -> list[str]:
    """The contenders that *comparisons* name, once each."""
    names = [name for each in comparisons for name in (each.ours, *each.theirs, *each.beside)]
    return list(dict.fromkeys(names))


def race(
    contenders: Sequence[Contender],
    rounds: int,
    *,
    refused: Mapping[str, str] | None = None,
    sweep: Callable[[dt.datetime], object] = lambda _began: None,
) -> Result:
    """Time *contenders* in turn.

    Each runs once before that is not timed: it makes what later ones find.

    Args:
        contenders: who takes part.
        rounds: how often each is timed.
        refused: name -> why it cannot take part.
        sweep: is told the beginning of each round when it is over.
    """
    times: dict[str, list[float]] = {each.name: [] for each in contenders}
    failed = dict(refused or {})
    for number in range(rounds + 1):
        began = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
        for each in contenders:
            if each.name in failed:
                continue
            try:
                took = _timed(each)
            except FailedError as error:
                failed[each.name] = str(error)
                say(f"{each.name} failed: {error}")
                continue
            say(f"round {number} of {rounds}: {each.name} {quantity(took, 's')}")
            if number:
                times[each.name].append(took)
        sweep(began)
    return Result(contenders={each.name: each for each in contenders}, times=times, failed=failed)


def compared(result: Result, comparisons: Sequence[Comparison]) -> list[Row | Missing]:
    """The rows of *comparisons*."""
    return [_row(result, each) for each in comparisons]


def say(text: str) -> None:
    """Tell the person at the terminal how far it is."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _timed(contender: Contender) -> float:
    contender.before()
    return seconds(contender.commands)


def _row(result: Result, comparison: Comparison) -> Row | Missing:
    for each in (comparison.ours, *comparison.theirs):
        if each in result.failed:
            return Missing(heading=comparison, why=result.failed[each])
    return Row(
        heading=comparison,
        ours=result.side([comparison.ours]),
        theirs=result.side(comparison.theirs),
        beside=[result.side([each]) for each in comparison.beside if each not in result.failed],
    )
