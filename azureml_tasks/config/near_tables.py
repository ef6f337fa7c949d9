"""Tables of pyproject.toml whose name is nearly `tool.azureml-image`: nothing reads them, and they have no effect."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.problems import FILE
from azureml_tasks.errors import FileProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.config.toml_positions import Path

_NAME = "azureml-image"
_NAMES = (_NAME, "azureml-tasks")
"""The name of our table, and that of the package, which many tools give to their tables."""
_HEADER = f"[tool.{_NAME}]"
_ALIKE = 0.85
"""How much of a name must be the same, from 0 to 1: "azure-image" is as far from ours as a name may be."""

_DEEPEST = 3
"""Parts of a name: `tool.azureml.image`."""


def near_tables(document: Mapping[str, Any], lines: Mapping[Path, int]) -> Iterator[FileProblem]:
    """Yield a problem for each table that seems to be meant as ours.

    Args:
        document: the whole of pyproject.toml.
        lines: path of a key in it → its line.
    """
    first_lines = _first_lines(lines)
    for path, value in _candidates(document):
        if path == ("tool", _NAME):
            if isinstance(value, list):
                what = f"[[tool.{_NAME}]] is an array of tables, and this is a single table"
                yield FileProblem(FILE, first_lines.get(path, 0), what, f"Write: {_HEADER}")
        elif isinstance(value, dict | list) and _is_near(path):
            name = ".".join(path)
            header = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
            yield FileProblem(
                FILE, first_lines.get(path, 0), f"{header} is read by nothing", f"Write: {_HEADER}"
            )


def _candidates(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the tables at the top, those in `tool`, and those one level below `tool.azureml`."""
    for name, value in document.items():
        yield (name,), value
        if name.lower() in {"tool", "tools"} and isinstance(value, dict):
            for inner, table in value.items():
                yield (name, inner), table
                if inner.lower() in {"azureml", "azure"} and isinstance(table, dict):
                    yield from (((name, inner, last), each) for last, each in table.items())


def _is_near(path: tuple[str, ...]) -> bool:
    names = path[1:] if path[0].lower() in {"tool", "tools"} else path
    name = re.sub(r"[-_.\s]+", "-", "-".join(names)).lower()
    return bool(difflib.get_close_matches(name, _NAMES, n=1, cutoff=_ALIKE))


def _first_lines(lines: Mapping[Path, int]) -> dict[Path, int]:
    """Return the first line of each table that may be a candidate, or of what is in it."""
    first: dict[Path, int] = {}
    for place, line in lines.items():
        for length in range(1, min(len(place), _DEEPEST) + 1):
            path = place[:length]
            first[path] = min(line, first.get(path, line))
    return first
