r"""Match a path with a pattern of many wildcards, in time that grows with the length of both and no faster.

Python's regular expressions try every way to divide a path among the wildcards: for `*a*a*a*a*b` and a long name that
takes hours. Go's, which Docker uses, follow all ways at once, and so does this: step by step, it keeps the places of
the path that the pattern can have reached.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Places = frozenset[int]
    Step = Callable[[str, Places], Places]

_STEP = re.compile(
    r"(?P<bar>\|) | (?P<folders>\(\.\*/\)\?) | (?P<edge>\^|\\[AbBZ])"
    r"| (?P<one>\[\^?\]?(?:\\.|[^\\\]])*\] | \\. | .) (?P<repeat>\*|\{(?P<low>\d+)(?P<more>,(?P<high>\d*))?\})?",
    re.DOTALL | re.VERBOSE,
)
_MOST_WILDCARDS = 100
"""The time for one path grows with their number, too."""
_FEW = 1_000_000
"""Tries from which on the steps are faster than a regular expression may be."""


def search(expression: str) -> Callable[[str], object]:
    r"""Return a function that tells whether a path matches `^EXPRESSION\Z`.

    Args:
        expression: as `ignore_pattern` translates it to Python: characters and sets, each with an optional repeat,
            `(.*/)?`, edges such as `\b`, and `|`.

    Raises:
        re.error: it is no regular expression.
        OverflowError: a repeat has too large a number.
    """
    # not fullmatch(): a "|" separates the "^" in front from the end mark behind
    as_a_whole = re.compile(rf"^{expression}\Z", re.ASCII).search
    parts = list(_STEP.finditer(expression))
    wildcards = sum(1 for part in parts if part["bar"] or part["folders"] or part["repeat"])
    if wildcards > _MOST_WILDCARDS:
        raise re.error(f"more than {_MOST_WILDCARDS} wildcards")
    if wildcards < 3:  # noqa: PLR2004 -- two take the square of the path's length, which is short
        return as_a_whole
    branches: list[list[Step]] = [[]]
    for part in parts:
        if part["bar"]:
            branches.append([])
        else:
            branches[-1].append(_step(part))
    return lambda path: (
        as_a_whole(path) if len(path) ** wildcards <= _FEW else any(_reached(branches, path, len(path)))
    )


def _reached(branches: Sequence[Sequence[Step]], path: str, end: int) -> list[bool]:
    """Return for each branch whether it matches: the first one begins at the start, the last one ends at the end."""
    results = []
    for index, steps in enumerate(branches):
        places: Places = frozenset([0] if index == 0 else range(end + 1))
        for step in steps:
            places = step(path, places)
        results.append(end in places if index == len(branches) - 1 else bool(places))
    return results


def _step(part: re.Match[str]) -> Step:
    if part["folders"]:
        return _after_folders
    if part["edge"]:
        return partial(_after_edge, re.compile(part["edge"], re.ASCII))
    one = re.compile(part["one"], re.ASCII)
    if part["repeat"] == "*":
        return partial(_after_any, one)
    low = int(part["low"] or 1)
    if not part["repeat"] or not part["more"]:
        return partial(_after_some, one, low, low)
    return partial(_after_some, one, low, int(part["high"]) if part["high"] else None)


def _after_edge(edge: re.Pattern[str], path: str, places: Places) -> Places:
    return frozenset(place for place in places if edge.match(path, place))


def _after_one(one: re.Pattern[str], path: str, places: Places) -> Places:
    return frozenset(place + 1 for place in places if one.match(path, place))


def _after_any(one: re.Pattern[str], path: str, places: Places) -> Places:
    reached: set[int] = set()
    for start in sorted(places):
        place = start
        while place not in reached:
            reached.add(place)
            if one.match(path, place):
                place += 1
    return frozenset(reached)


def _after_some(one: re.Pattern[str], low: int, high: int | None, path: str, places: Places) -> Places:
    for _ in range(low):
        places = _after_one(one, path, places)
    if high is None:
        return _after_any(one, path, places)
    reached = places
    for _ in range(low, high):
        places = _after_one(one, path, places)
        reached |= places
    return reached


_ANY = re.compile(".")


def _after_folders(path: str, places: Places) -> Places:
    inside = _after_any(_ANY, path, places)
    return places | frozenset(place + 1 for place in inside if path.startswith("/", place))
