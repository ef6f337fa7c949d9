"""A YAML source while it is read: its values, the lines that each of them has, and what became of them.

A reader notes an outcome for each key. What nothing is noted for is left over, so no line is dropped without a word.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config.toml_messages import as_written
from azureml_tasks.config.yaml_document import LARGEST_YAML, parse
from azureml_tasks.errors import FileProblem, SettingsError
from azureml_tasks.migration.placeholders import marked, unmarked
from azureml_tasks.migration.reading import Outcome, Reading, Reference, Source, SourceLine, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.config.yaml_document import YamlDocument
    from azureml_tasks.migration.surroundings import Surroundings

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""YAML 1.1, as PyYAML counts lines: https://yaml.org/spec/1.1/#b-generic."""
_LONGEST_SHOWN = 200  # characters


class _Extent(NamedTuple):
    """First and last line, 1-based."""

    line: int
    end: int


class YamlNotes:
    """What is read of a YAML source so far.

    Args:
        source: to read.
        surroundings: where its paths may lead.

    Raises:
        SettingsError: it is no YAML, or is too large.
    """

    def __init__(self, source: Source, surroundings: Surroundings) -> None:
        self.source, self.surroundings = source, surroundings
        self._document, self._problems = _parsed(source)
        self._texts = _LINE_BREAK.split(source.text)
        self._places = list(self._document.lines)
        self._positions = {place: at for at, place in enumerate(self._places)}
        self._starts = sorted(set(self._document.lines.values()))
        self._last_content = _last_content(self._texts)
        self._words: dict[int, frozenset[str]] = {}
        self._opened: set[int] = set()
        self._lines: list[SourceLine] = []
        self._values: list[Value] = []
        self._references: list[Reference] = []
        self._flags: list[tuple[str, str]] = []

    @property
    def top(self) -> Mapping[str, Any]:
        """The keys of the document; none if it is no mapping."""
        return self.mapping(())

    def value(self, place: Place) -> Any:
        """Return the value at *place*; None if there is none."""
        value = self._document.value
        for part in place:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def mapping(self, place: Place) -> Mapping[str, Any]:
        """Return the mapping at *place*; an empty one if something else is there."""
        value = self.value(place)
        return value if isinstance(value, dict) else {}

    def text(self, place: Place) -> str:
        """Return the text at *place*, or a number as text; "" for anything else."""
        value = self.value(place)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        return value if isinstance(value, str) else ""

    def written(self, place: Place) -> str:
        """Return the text at *place* as the file has it, with its placeholders."""
        return unmarked(self.text(place))

    def line(self, place: Place) -> int:
        """Return the line of *place*, or of what is around it."""
        while place and place not in self._document.lines:
            place = place[:-1]
        return self._document.lines.get(place, 1)

    def has_word(self, place: Place, word: str) -> bool:
        """Return whether the line of *place* contains *word* between blanks, brackets or punctuation of YAML."""
        line = self.line(place)
        if line not in self._words:
            self._words[line] = frozenset(re.split(r"[\s,{}\[\]:]+", self._texts[line - 1]))
        return word in self._words[line]

    def open(self, place: Place) -> None:
        """Say that the keys below *place* are read one by one; its own line goes with the first of them."""
        self._opened.add(self.line(place))

    def note(self, place: Place, outcome: Outcome, why: str) -> None:
        """Note what became of *place* with all that is below it."""
        self._lines.append(self._source_line(self._extent(place), outcome, why))

    def key(
        self, place: Place, key: Place, value: Any, why: str = "", outcome: Outcome = Outcome.KEY
    ) -> None:
        """Note that *place* became *value* for *key* of the table, and why it is not quite the same."""
        self.set(place, key, value)
        self.note(place, outcome, "; ".join(filter(None, [spelled(key, value), why])))

    def set(self, place: Place, key: Place, value: Any) -> None:
        """Add a value for *key* of the table that is from the line of *place*; another call notes its outcome."""
        self._values.append(Value(key, value, self.source.name, self.line(place)))

    def set_at(self, line: int, key: Place, value: Any) -> None:
        """Add a value that is from *line*."""
        self._values.append(Value(key, value, self.source.name, line))

    def note_at(self, line: int, outcome: Outcome, why: str) -> None:
        """Note what became of one *line*."""
        self._lines.append(self._source_line(_Extent(line, line), outcome, why))

    def refer(self, reference: Reference) -> None:
        """Add a further source."""
        self._references.append(reference)

    def flag(self, name: str, value: str) -> None:
        """Keep *value* for a flag of `image.environment --deployment`."""
        self._flags.append((name, value))

    def reading(self) -> Reading:
        """Return what was read."""
        return Reading(
            source=self.source,
            values=tuple(sorted(self._values, key=lambda value: value.line)),
            lines=tuple(self._all_lines()),
            references=tuple(self._references),
            flags=tuple(self._flags),
        )

    def _extent(self, place: Place) -> _Extent:
        """Return the lines of *place*. What an alias repeats has its lines where its anchor is."""
        first = last = self.line(place)
        at = self._positions.get(place, len(self._places))
        for inner in self._places[at + 1 :]:
            if inner[: len(place)] != place:
                break
            last = max(last, self._document.lines[inner])
        return _Extent(first, self._end(last))

    def _end(self, line: int) -> int:
        """Return the last line with content before the next value after *line*."""
        following = bisect_right(self._starts, line)
        end = self._starts[following] - 1 if following < len(self._starts) else len(self._texts)
        return max(line, self._last_content[end])

    def _source_line(self, extent: _Extent, outcome: Outcome, why: str) -> SourceLine:
        text = self._texts[extent.line - 1][:_LONGEST_SHOWN].strip()
        return SourceLine(extent.line, extent.end, text, outcome, why)

    def _all_lines(self) -> Iterator[SourceLine]:
        """Yield all lines: what a key is in goes with the key, and what nothing was noted for is left over."""
        for problem in self._problems:
            self.note_at(max(problem.line, 1), Outcome.LEFT_OVER, f"{problem.what}. {problem.fix}")
        noted = sorted(self._lines, key=lambda line: (line.line, line.end))
        covered = {number for line in noted for number in range(line.line, line.end + 1)}
        rest = [
            number
            for number in range(1, len(self._texts) + 1)
            if number not in covered and self._last_content[number] == number
        ]
        around = [number for number in rest if number in self._opened or self._is_mark(number)]
        unread = [
            self._source_line(_Extent(number, number), Outcome.LEFT_OVER, "is no key with a value")
            for number in sorted({*rest} - {*around})
        ]
        yield from _with_what_is_around(
            sorted([*noted, *unread], key=lambda line: (line.line, line.end)), around
        )

    def _is_mark(self, line: int) -> bool:
        """Return whether a line begins or ends a document, or is a directive."""
        return re.fullmatch(r"---|\.\.\.|%.*", self._texts[line - 1].rstrip()) is not None


def _with_what_is_around(lines: list[SourceLine], around: list[int]) -> Iterator[SourceLine]:
    """Yield *lines*, each with the lines *around* that come right before it; the last one with those after it."""
    waiting = deque(around)
    for index, line in enumerate(lines):
        first, end = line.line, line.end
        while waiting and waiting[0] < line.line:
            first = min(first, waiting.popleft())
        if waiting and index == len(lines) - 1:
            end = max(end, waiting.pop())
        yield line._replace(line=first, end=end)


def spelled(key: Place, value: Any) -> str:
    """Write a value of the table as a line: `env.MODE = "fast"`."""
    if key in {("env",), ("labels",)}:
        return ", ".join(f"{key[0]}.{name} = {as_written(text)}" for name, text in value.items())
    return f"{'.'.join(map(str, key))} = {as_written(value)}"


def _last_content(texts: Sequence[str]) -> list[int]:
    """Return for each line, from 1, the last line up to it that is neither blank nor a comment; 0 for none."""
    numbers = [0]
    for number, text in enumerate(texts, 1):
        stripped = text.strip()
        numbers.append(number if stripped and not stripped.startswith("#") else numbers[-1])
    return numbers


def _parsed(source: Source) -> tuple[YamlDocument, list[FileProblem]]:
    """Return the document of *source* and the mistakes in it that leave the rest readable."""
    if len(source.text) > LARGEST_YAML:
        what = f"is larger than {LARGEST_YAML / 1e6:,.0f} MB"
        raise SettingsError([FileProblem(source.name, 0, what, "Make it smaller.")])
    document, problems = parse(marked(source.text), source.name)
    if document is None or not isinstance(document.value, dict):
        what = "is not a deployment or an environment of Azure ML: it has no keys"
        fix = "Write, for example:\nname: scoring"
        raise SettingsError(problems or [FileProblem(source.name, 0, what, fix)])
    return document, [FileProblem(*problem) for problem in problems]
