"""What reading a project has found so far: where each key stands, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FILE", "HERE", "Override", "Place", "Problems", "spell"]

FILE = "pyproject.toml"
HERE = ("tool", "azureml-image")
Place = tuple[str | int, ...]


class Override(NamedTuple):
    """A value of this one run that stands above the table's: `--base REF` and the like."""

    value: Any
    source: str


class Problems:
    """What reading has found so far: the document, where its keys stand, and what is wrong.

    Args:
        document: the whole of pyproject.toml.
        lines: path of a key → its line.
        sources: key of the table → what set it instead of the table.

    Attributes:
        problems: grows as reading goes on.
        bad: the keys of the table that something is wrong with, of which no more is said.
    """

    def __init__(
        self, *, document: Mapping[str, Any], lines: Mapping[Place, int], sources: Mapping[str, str]
    ) -> None:
        self.document, self.lines, self.sources = document, lines, sources
        self.problems: list[Problem] = []
        self.bad: set[str] = set()

    def problem(self, place: Place, what: str, fix: str = "") -> None:
        """Note that *what* is wrong at *place*, a path inside the table."""
        self.bad.update(str(part) for part in place[:1])
        if place and place[0] in self.sources:
            self.problems.append(Problem(self.sources[str(place[0])], 0, what, fix))
        else:
            self.problems.append(Problem(FILE, self.line(place), what, fix))

    def has(self, place: Place) -> bool:
        """Whether the table itself has something at *place*."""
        return HERE + place in self.lines

    def line(self, place: Place) -> int:
        """The line of *place*, or of the nearest key around it."""
        path: Place = HERE + place
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def spell(place: Place) -> str:
    """`tool.azureml-image.run[2].command`: items are counted from 1, as people count."""
    text = ".".join(HERE)
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text
