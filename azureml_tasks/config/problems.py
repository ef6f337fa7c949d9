"""The mistakes found while a project is read, each with its file, its line and its fix."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from azureml_tasks.errors import FileProblem, Problem
from azureml_tasks.plain_text import escape_json, shell_join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.config.image_tables import ImageTable

FILE = "pyproject.toml"
_TABLE = ("tool", "azureml-image")
_EXCLUDE = re.compile(r"\bexclude = \[")
T = TypeVar("T")
ProblemT = TypeVar("ProblemT", bound=Problem)
Place = tuple[str | int, ...]
"""The path of a key or an item inside the table: `("smoke-test", "requests", 0, "body")`."""


class Override(NamedTuple):
    """A value that replaces the table's for this run: `--base REF` and the like."""

    value: Any
    source: str


class Problems:
    """The mistakes of a project. Reading goes on after a mistake, so that one run reports all of them.

    Args:
        document: the whole of pyproject.toml.
        lines: path of a key in the document → its line.
        sources: key of the table → the flag or variable that replaces it in this run.
        own: the table of the image, if the table has several images. Places are as if it were the table itself.
    """

    def __init__(
        self,
        *,
        document: Mapping[str, Any],
        lines: Mapping[Place, int],
        sources: Mapping[str, str],
        own: ImageTable | None = None,
    ) -> None:
        self.document, self.lines, self.sources, self.own = document, lines, sources, own
        self._problems: list[Problem] = []
        self._bad: set[Place] = set()

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, place: Place, what: str, fix: str = "", *, code: str = "settings") -> None:
        """Report a mistake at *place* in the table, with one of `errors.PROBLEM_CODES`."""
        self._bad.add(place)
        if place and place[0] in self.sources:
            self.extend([Problem(self.sources[str(place[0])], 0, what, fix, code)])
        else:
            self.extend([self.problem_at(place, what, fix)._replace(code=code)])

    def problem_at(self, place: Place, what: str, fix: str = "") -> FileProblem:
        """Return a mistake at *place* in the table, which is not reported yet."""
        what, fix = (self._spelled(text, place) for text in (what, self._with_patterns(fix)))
        return FileProblem(FILE, self.line_of(place), what, fix)

    def add_in_file(self, file: str, line: int, what: str, fix: str = "") -> None:
        """Report a mistake in *file*, a project-relative path; line 0 is the whole file."""
        self.extend([FileProblem(file, line, what, self._with_patterns(fix))])

    def extend(self, problems: Iterable[Problem]) -> None:
        """Report *problems*; what their fixes write is what this run replaces the table's value by."""
        self._problems.extend(fixed_at_source(each, self.sources) for each in problems)

    def is_bad(self, place: Place) -> bool:
        """Return whether a mistake was reported at *place* itself or at a key or item around it."""
        return any(place[:length] in self._bad for length in range(1, len(place) + 1))

    def valid_items(self, key: str, values: Iterable[T]) -> Iterator[tuple[int, T]]:
        """Yield the items of the array *key* without mistakes, each with its index."""
        return ((index, value) for index, value in enumerate(values) if not self.is_bad((key, index)))

    def is_written(self, place: Place) -> bool:
        """Return whether the table itself, without overrides, has *place*."""
        return self.own.has(place) if self.own else _TABLE + place in self.lines

    def line_of(self, place: Place) -> int:
        """Return the line of *place*, or of the nearest key around it; 0 if there is none."""
        path: Place = _TABLE + (self.own.home(place) if self.own else place)
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def is_of_image(self, place: Place) -> bool:
        """Return whether what is at *place* comes from the table of one of several images, not from the top table."""
        return self.own is not None and self.own.is_own(place)

    def _with_patterns(self, fix: str) -> str:
        """Return *fix* with the patterns that `exclude` has already, in each line that sets it."""
        tables = self.document.get("tool", {})
        table = self.own.values if self.own else tables.get("azureml-image", {})
        patterns = table.get("exclude")
        if not isinstance(patterns, list) or not all(isinstance(each, str) for each in patterns):
            return fix
        before = "".join(f"{escape_json(json.dumps(each, ensure_ascii=False))}, " for each in patterns)
        return _EXCLUDE.sub(lambda key: key[0] + before, fix)

    def _spelled(self, text: str, place: Place) -> str:
        """Return *text*, which spells *place* as if the image's table were the table itself, with its real place."""
        if not self.own or not self.own.is_own(place):
            return text
        return text.replace(spell(()), spell(self.own.place), 1)


def is_variable(source: str) -> bool:
    """Return whether the source of a value is a variable of the environment, not a flag or a configuration."""
    return re.fullmatch(r"[A-Z_]+", source) is not None


def fixed_at_source(problem: ProblemT, sources: Mapping[str, str]) -> ProblemT:
    """Return *problem* with a fix for the flag or the variable that has replaced a value of the table in this run.

    Args:
        problem: its fix writes keys as the table does, such as `base = "minimal-py312-inference"`.
        sources: key of the table → the flag or variable.
    """
    fix = problem.fix
    for key, source in sources.items():
        fix = re.sub(rf'(?<![\w-]){key} = ("[^"\n]*"|\[[^\]\n]*\])', partial(_written_at, source=source), fix)
    return problem._replace(fix=fix) if fix != problem.fix else problem


def _written_at(key: re.Match[str], *, source: str) -> str:
    value = json.loads(key[1])
    values = value if isinstance(value, list) else [value]
    if source == "--tag":
        return shell_join([f"{source}={each}" for each in values])
    if source.startswith("--"):
        return shell_join([source, *values])
    return f"export {source}={shell_join([','.join(values)])}" if is_variable(source) else key[0]


def spell(place: Place) -> str:
    """Write *place* as in a message: `tool.azureml-image.run[2].command`; items count from 1."""
    text = ".".join(_TABLE)
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text


def spell_table(place: Place) -> str:
    """Write the header of the table at *place*: `[tool.azureml-image]`, `[[tool.azureml-image.run]]`."""
    if place and isinstance(place[-1], int):
        return f"[[{spell(place[:-1])}]]"
    return f"[{spell(place)}]"
