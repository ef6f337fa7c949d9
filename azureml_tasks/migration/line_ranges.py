"""Say of every line of a text what became of it, where most lines share one fate."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.migration.reading import Outcome, SourceLine

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 100
"""Characters of a line that is shown."""


class Fate(NamedTuple):
    """What became of a line, and why, as in `SourceLine`."""

    outcome: Outcome
    why: str


def source_lines(text: str, usual: Fate, others: Mapping[int, Fate]) -> tuple[SourceLine, ...]:
    """Return an entry for each range of lines with one fate; blank lines and comments have none.

    Args:
        text: of a file in which "#" begins a comment.
        usual: the fate of each line that *others* does not name.
        others: number of a line → its fate.
    """
    written = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    ranges = groupby(written, key=lambda line: others.get(line[0], usual))
    return tuple(_entry(list(lines), fate) for fate, lines in ranges)


def whole_text(text: str, fate: Fate, shown: str) -> tuple[SourceLine, ...]:
    """Return one entry for all lines of *text*, for a person told by *shown*."""
    count = max(1, len(text.splitlines()))
    return (SourceLine(line=1, end=count, text=shown, outcome=fate.outcome, why=fate.why),)


def _entry(lines: list[tuple[int, str]], fate: Fate) -> SourceLine:
    (first, text), (last, end) = lines[0], lines[-1]
    shown = _cut(text) if first == last else f"{_cut(text)} … {_cut(end)}"
    return SourceLine(line=first, end=last, text=shown, outcome=fate.outcome, why=fate.why)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
