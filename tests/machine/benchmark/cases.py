"""A case: some rows that are measured together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from docker.errors import DockerException

from tests.machine.apt import NotPossibleError
from tests.machine.benchmark.races import Comparison, Contender, compared, needed, race
from tests.machine.benchmark.rows import Heading, Missing, Row
from tests.machine.benchmark.timing import FailedError
from tests.machine.benchmark.traces import Traces

__all__ = ["Case", "chosen", "measured", "raced"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows that are measured together.

    Args:
        headings: the rows.
        measure: measures those of them that are asked for, in so many rounds.
    """

    headings: Sequence[Heading]
    measure: Callable[[Sequence[Heading], int], Iterable[Row | Missing]]


def chosen(case: Case, only: str) -> list[Heading]:
    """The headings that contain *only*, whatever the case of its letters."""
    return [heading for heading in case.headings if only.lower() in str(heading).lower()]


def measured(case: Case, headings: Sequence[Heading], rounds: int) -> list[Row | Missing]:
    """The rows of *headings*; where a case cannot be measured at all, each says why."""
    try:
        return list(case.measure(headings, rounds))
    except (NotPossibleError, FailedError, DockerException) as error:
        return [Missing(heading=heading, why=str(error)) for heading in headings]


def raced(
    comparisons: Sequence[Comparison],
    contender: Callable[[str], Contender],
    traces: Traces,
    *,
    times: int = 1,
) -> Case:
    """A case that is one race.

    Args:
        comparisons: its rows.
        contender: makes those that take part, by name.
        traces: what is swept after each round.
        times: how many rounds there are for one that is asked for, where they are short.
    """

    def measure(headings: Sequence[Heading], rounds: int) -> list[Row | Missing]:
        asked = [each for each in comparisons if each in headings]
        refused: dict[str, str] = {}
        contenders = []
        for name in needed(asked):
            try:
                contenders.append(contender(name))
            except (NotPossibleError, FailedError) as error:
                refused[name] = str(error)
        return compared(race(contenders, rounds * times, refused=refused, sweep=traces.sweep), asked)

    return Case(headings=comparisons, measure=measure)
