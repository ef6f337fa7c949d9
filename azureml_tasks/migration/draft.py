"""What all readings say together: one table, and what only a person can decide."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config import fields, validators
from azureml_tasks.config.fields import keys
from azureml_tasks.config.settings import Settings
from azureml_tasks.errors import FileProblem
from azureml_tasks.image_reference import expand_base
from azureml_tasks.migration.base_image import brings_server
from azureml_tasks.migration.code.script_in_code import scripts_in_code
from azureml_tasks.migration.questions import Choice, Question
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.migration.sources import left_over
from azureml_tasks.migration.variables_of_keys import without_variables_of_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from azureml_tasks.config.fields import Key
    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.reading import Reading, Value

_CODE = ("code",)
_BASE = ("base",)
_SERVER = ("server",)
_REQUEST, _REQUESTS = ("smoke-test", "request"), ("smoke-test", "requests")
_EXCLUDING: tuple[tuple[Place, Place], ...] = (
    (("smoke-test", "mini-batch"), _REQUEST),
    (("smoke-test", "mini-batch"), _REQUESTS),
    (("model",), ("smoke-test", "model")),
)
"""Keys of which a table has one alone: the first one counts, and the second one is left over."""


class Fixed(NamedTuple):
    """A value that the run itself gives, in place of those of the sources.

    Args:
        place: path of its key.
        value: as TOML has it.
        origin: the flag or variable.
    """

    place: Place
    value: Any
    origin: str


class Conflict(NamedTuple):
    """Different values for one key, of which the table has one.

    Args:
        place: path of the key.
        values: that differ, in the order of the sources; at least two.
    """

    place: Place
    values: tuple[Value, ...]

    def question(self) -> Question:
        """Return what to ask, with one choice for each of the values."""
        key = _spelled(self.place)
        choices = [Choice(f"{_shown(each.value)} ({each.where})", ()) for each in self.values]
        what = f"{len(choices)} different values are given"
        return Question(subject=key, what=what, asks="Which one is right?", choices=tuple(choices))

    def problem(self) -> FileProblem:
        """Return what to say where nobody can be asked."""
        first, second, *_ = self.values
        key = _spelled(self.place)
        what = f"gives {key} = {_shown(second.value)}, and {first.where} {_shown(first.value)}"
        if self.place == _BASE:
            fix = f"Say which one is right: --base {first.value}\nor: --base {second.value}"
        elif first.file == second.file:
            fix = "Remove one of the two."
        else:
            fix = f"Read one of the two alone: --from {first.file}\nor: --from {second.file}"
        return FileProblem(second.file, second.line, what, fix)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The table that the readings say together.

    Args:
        table: in the order of the settings.
        readings: with what became of a line whose value the table does not have.
        conflicts: that keep the table from being complete.
        merged: what was merged.
    """

    table: Mapping[str, Any]
    readings: tuple[Reading, ...]
    conflicts: tuple[Conflict, ...]
    merged: Merged


class Merged(NamedTuple):
    """What makes a draft.

    Args:
        readings: of the sources.
        fixed: what the run gives, in place of their values.
        answers: place of a conflict → the value that was chosen.
        refused: place of values that the table cannot have → the reason.
    """

    readings: tuple[Reading, ...]
    fixed: tuple[Fixed, ...] = ()
    answers: Mapping[Place, Value] = MappingProxyType({})
    refused: Mapping[Place, str] = MappingProxyType({})


def draft(readings: Sequence[Reading], fixed: Sequence[Fixed] = ()) -> Draft:
    """Return what *readings* say together; what the run gives, *fixed*, takes precedence."""
    return _draft(Merged(scripts_in_code(readings), tuple(fixed)))


def _draft(merged: Merged) -> Draft:
    merged = merged._replace(readings=without_variables_of_keys(merged.readings))
    given = {each.place: each for each in merged.fixed}
    merging = _Merging(merged)
    by_place = merging.by_place()
    table: dict[Place, Any] = {}
    for place, values in by_place.items():
        if place not in given:
            table[place] = merging.value(place, values)
            continue
        for value in values:
            if value.value != given[place].value:
                why = f"{given[place].origin} gives {_shown(given[place].value)} instead"
                merging.drop(value, why, Outcome.CHANGED)
    table |= {each.place: each.value for each in merged.fixed}
    if _SERVER in table and not _needs_server(table.get(_BASE), by_place):
        del table[_SERVER]  # It is of another base, and the line of that one says so.
    root = _root(table)
    return Draft(
        table=in_order({**_nested(table), **({"root": root} if root else {})}),
        readings=tuple(merging.readings),
        conflicts=tuple(merging.conflicts),
        merged=merged,
    )


def _needs_server(base: Any, by_place: Mapping[Place, Sequence[Value]]) -> bool:
    """Return whether a table with *base* needs the key `server`, which a source sets.

    If the name of the base does not tell, a `server` that was set for another base does not count: it stands in the
    line of that one.
    """
    reference = expand_base(base) if isinstance(base, str) else None
    known = brings_server(reference) if reference else None
    if known is not None:
        return not known
    others = {(each.file, each.line) for each in by_place.get(_BASE, ()) if each.value != base}
    return any((each.file, each.line) not in others for each in by_place[_SERVER])


def answered(drafted: Draft, conflict: Conflict, chosen: Value) -> Draft:
    """Return *drafted* with *chosen*, one of the values of *conflict*, as the answer to it."""
    merged = drafted.merged
    return _draft(merged._replace(answers={**merged.answers, conflict.place: chosen}))


def with_reading(drafted: Draft, reading: Reading) -> Draft:
    """Return *drafted* with one more reading, and the same answers."""
    merged = drafted.merged
    return _draft(merged._replace(readings=scripts_in_code((*merged.readings, reading))))


def without(drafted: Draft, refused: Mapping[Place, str]) -> Draft:
    """Return *drafted* without the values at the places *refused*, which are left over for these reasons."""
    return _draft(drafted.merged._replace(refused=refused)) if refused else drafted


def with_base(drafted: Draft, readings: Sequence[Reading], base: Fixed) -> Draft:
    """Return *drafted* of other *readings*, those for *base*, with the same answers."""
    merged = drafted.merged
    return _draft(merged._replace(readings=tuple(readings), fixed=(*merged.fixed, base)))


def _as_requests(value: Value) -> Value:
    """Return the file of a request as one of several requests."""
    return value._replace(place=_REQUESTS, value=[{"file": value.value}])


class _Merging:
    """Merges the values of readings; `readings` changes with each value that the table does not have."""

    def __init__(self, merged: Merged) -> None:
        self.readings = list(merged.readings)
        self.answers, self.refused = merged.answers, merged.refused
        self.conflicts: list[Conflict] = []

    def by_place(self) -> dict[Place, list[Value]]:
        """Return the values for each key, less those of keys beside which they cannot stand."""
        values: dict[Place, list[Value]] = {}
        for reading in self.readings:
            for value in reading.values:
                values.setdefault(value.place, []).append(value)
        if _REQUESTS in values and _REQUEST in values:
            values[_REQUESTS] += map(_as_requests, values.pop(_REQUEST))
        for place, why in self.refused.items():
            for value in values.pop(place, []):
                self.drop(value, why)
        for first, second in _EXCLUDING:
            for value in values.pop(second, []) if first in values else []:
                self.drop(value, f"the table has {_spelled(first)}, and takes only one of the two")
        return values

    def drop(self, value: Value, why: str, outcome: Outcome = Outcome.LEFT_OVER) -> None:
        """Say in the line of *value* that the table does not have it."""
        for at, reading in enumerate(self.readings):
            if reading.source.name == value.file:
                self.readings[at] = left_over(reading, value.line, why, outcome)

    def value(self, place: Place, values: Sequence[Value]) -> Any:
        """Return the value of the key at *place*; of a conflict the first one."""
        key = declaration(place)
        if key.type == fields.TABLE_OF_STRINGS:
            return self._entries(place, values)
        if place == _CODE and any(isinstance(each.value, str) for each in values):
            return self._single(place, values)  # A single folder and several lie in other places.
        if key.type in {fields.STRINGS, fields.STRING_OR_STRINGS}:
            items = [item for each in values for item in _items(each.value)]
            joined = list(dict.fromkeys(items))
            return joined[0] if key.type == fields.STRING_OR_STRINGS and len(joined) == 1 else joined
        if key.type == fields.TABLES:
            return [item for each in values for item in each.value]
        return self._single(place, values)

    def _single(self, place: Place, values: Sequence[Value]) -> Any:
        """Return the value at *place*; of different ones the chosen one, or the first if that is to be asked."""
        different = _different(values)
        chosen = self.answers.get(place)
        if len(different) == 1:
            return values[0].value
        if not chosen:
            self.conflicts.append(Conflict(place, tuple(different)))
            return values[0].value
        for value in values:
            if value.value != chosen.value:
                why = f"the table has {_shown(chosen.value)} of {chosen.where} instead"
                self.drop(value, why, Outcome.CHANGED)
        return chosen.value

    def _entries(self, place: Place, values: Sequence[Value]) -> dict[str, Any]:
        entries: dict[str, list[Value]] = {}
        for value in values:
            for name, entry in value.value.items():
                entries.setdefault(name, []).append(value._replace(place=(*place, name), value=entry))
        return {name: self._single((*place, name), each) for name, each in entries.items()}


def _different(values: Sequence[Value]) -> list[Value]:
    """Return the first of *values* with each value."""
    different: list[Value] = []
    for value in values:
        if not any(value.value == each.value for each in different):
            different.append(value)
    return different


def declaration(place: Place) -> Key:
    """Return how the key at *place* is declared."""
    table: Any = Settings
    key = None
    for part in place:
        if isinstance(part, str) and table:
            key = keys(table)[part][1]
            table = key.table
    assert key, place  # noqa: S101 -- a reader names keys of the settings alone
    return key


def _items(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _nested(table: Mapping[Place, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for place, value in table.items():
        inner = nested
        for part in place[:-1]:
            inner = inner.setdefault(str(part), {})
        inner[str(place[-1])] = value
    return nested


def in_order(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table in the order in which its keys are declared, and so the tables in it."""
    return _in_order(table, Settings)


def _in_order(table: Mapping[str, Any], declared: type[Any]) -> dict[str, Any]:
    ordered: dict[str, Any] = {}
    for name, (_, key) in keys(declared).items():
        if name not in table:
            continue
        value = table[name]
        if key.type == fields.TABLE:
            value = _in_order(value, key.table)
        elif key.type == fields.TABLES:
            value = [_in_order(item, key.table) for item in value]
        ordered[name] = value
    return ordered


def _root(table: Mapping[Place, Any]) -> str:
    """Return the nearest folder above the project that holds all its paths; "" for the project's own."""
    highest = max((_steps_up(path) for path in _paths(table)), default=0)
    return "/".join([".."] * highest)


def _paths(table: Mapping[Place, Any]) -> Iterator[str]:
    """Yield each path of the project in *table*."""
    for place, value in table.items():
        key = declaration(place)
        if key.rule is validators.PATH:
            yield from _items(value)
        elif key.type == fields.TABLES:
            yield from _paths_of_items(value, key.table)


def _paths_of_items(items: Iterable[Mapping[str, Any]], declared: type[Any]) -> Iterator[str]:
    for item in items:
        for name, value in item.items():
            key = keys(declared)[name][1]
            if key.rule is validators.PATH:
                yield from _items(value)
            elif key.type == fields.TABLES:
                yield from _paths_of_items(value, key.table)


def table_paths(table: Mapping[str, Any]) -> set[str]:
    """Return the paths of the project that *table* names."""
    return set(
        _paths({(name,): value for name, value in table.items() if not isinstance(value, dict)})
    ) | set(_paths({("smoke-test", name): value for name, value in table.get("smoke-test", {}).items()}))


def _steps_up(path: str) -> int:
    parts = posixpath.normpath(path).split("/")
    return next((count for count, part in enumerate(parts) if part != ".."), len(parts))


def _spelled(place: Place) -> str:
    return ".".join(map(str, place))


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
