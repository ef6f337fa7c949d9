"""Mistakes that many lines of a file have: the first ones are shown, the others are counted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.errors import FileProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.errors import Problem

_SHOWN = 3
"""Mistakes of one kind that are shown of each file."""
_VALUES = re.compile(r'"[^"]*"|(?<=the requirement )\S+|: .*', re.DOTALL)
"""The part of a message that differs from line to line."""


def counted(problems: Sequence[Problem]) -> list[Problem]:
    """Return *problems*; a mistake of one kind is shown three times for a file, then counted."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.file, _VALUES.sub("", problem.what)), []).append(problem)
    left_out = {id(each) for alike in kinds.values() if len(alike) > _SHOWN + 1 for each in alike[_SHOWN:]}
    counts = [
        FileProblem(alike[_SHOWN].file, alike[_SHOWN].line, _count(len(alike) - _SHOWN, alike[0].line))
        for alike in kinds.values()
        if len(alike) > _SHOWN + 1
    ]
    return [*(each for each in problems if id(each) not in left_out), *counts]


def _count(more: int, line: int) -> str:
    return f"here and in {more - 1:,} more lines is the same mistake as in line {line}"
