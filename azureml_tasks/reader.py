"""The text of pyproject.toml → `Settings`, with every mistake in it collected."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import tomli

from azureml_tasks import settings as declared
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.requirement_lines import hide_login
from azureml_tasks.settings import Key, Settings, keys
from azureml_tasks.toml_lines import locate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.rules import Rule

__all__ = ["FILE", "HERE", "Found", "Override", "Place", "read", "spell"]

FILE = "pyproject.toml"
HERE = ("tool", "azureml-image")
TableT = TypeVar("TableT")
Place = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Override:
    """A value of this one run that stands above the table's: `--base REF` and the like."""

    value: Any
    source: str


@dataclass(kw_only=True)
class Found:
    """What reading has found so far: the document, where its keys stand, and what is wrong.

    Args:
        document: the whole of pyproject.toml.
        lines: path of a key → its line.
        sources: key of the table → what set it instead of the table.
        problems: grows as reading goes on.
        bad: the keys of the table that something is wrong with, of which no more is said.
    """

    document: Mapping[str, Any]
    lines: Mapping[Place, int]
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)

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


def read(text: str, overrides: Mapping[str, Override]) -> tuple[Settings, Found]:
    """Read the table, with *overrides* (key of the table → value) above it.

    Returns:
        Settings as far as they could be read, and what was found; where `Found.problems` is not
        empty, the settings hold defaults in the places of what is wrong and go no further.

    Raises:
        SettingsError: the text is no TOML or has no table, so that nothing more can be said.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise SettingsError(
            [
                Problem(
                    FILE,
                    error.lineno,
                    f"is not valid TOML: {error.msg} (column {error.colno})",
                    "Mend that line; nothing after it was read.",
                )
            ]
        ) from error
    table = (
        document.get("tool", {}).get("azureml-image") if isinstance(document.get("tool", {}), dict) else None
    )
    if not isinstance(table, dict):
        fix = '[tool.azureml-image]\nbase = "minimal-py312-inference"'
        raise SettingsError([Problem(FILE, 0, "has no table [tool.azureml-image]", f"Add it:\n{fix}")])
    found = Found(document=document, lines=locate(text), sources={k: o.source for k, o in overrides.items()})
    above = {key: override.value for key, override in overrides.items()}
    return _table({**table, **above}, Settings, (), found), found


def _table(values: Mapping[str, Any], cls: type[TableT], place: Place, found: Found) -> TableT:
    known = keys(cls)
    for name in values:
        if name not in known:
            found.problem(
                (*place, name), f'unknown key "{name}" in {_spell_table(place)}', _near(name, list(known))
            )
    given: dict[str, Any] = {}
    for name, (attribute, key) in known.items():
        if name in values:
            before = len(found.problems)
            value = _value(values[name], key, (*place, name), found)
            if len(found.problems) == before or (key.table and value is not None):
                given[attribute] = value
        elif key.required:
            what = f'{_spell_table(place)} has no "{name}", which it must have'
            found.problem(place, what, _say_fix(key.rule))
    return cls(**given)


def _value(value: Any, key: Key, place: Place, found: Found) -> Any:
    kind = _kind(value)
    if key.type != kind and kind not in _ALLOWED[key.type]:
        fix = _rewritten(value, key, place)
        found.problem(place, f"{spell(place)} must be {key.type}, got {_got(value)}", fix)
        return None
    if kind == declared.TABLE:
        return _inner_table(value, key, place, found)
    if isinstance(value, list) and key.type != declared.ANY:
        return _array(value, key, place, found)
    if key.type == declared.STRING_OR_STRINGS:
        return (_checked(value, key, place, found),)
    return _checked(value, key, place, found)


# What a key of this type also takes; an empty array is of every type.
_ALLOWED: dict[str, frozenset[str]] = {
    declared.STRING: frozenset(),
    declared.STRINGS: frozenset({"an array"}),
    declared.STRING_OR_STRINGS: frozenset({"an array", declared.STRING}),
    declared.BOOLEAN: frozenset(),
    declared.INTEGER: frozenset(),
    declared.NUMBER: frozenset({declared.INTEGER}),
    declared.TABLE: frozenset(),
    declared.TABLE_OF_STRINGS: frozenset({declared.TABLE}),
    declared.TABLES: frozenset({"an array"}),
    declared.ANY: frozenset(
        {declared.STRING, declared.BOOLEAN, declared.INTEGER, declared.NUMBER, declared.TABLE, "an array"}
    ),
}


def _array(values: list[Any], key: Key, place: Place, found: Found) -> tuple[Any, ...]:
    kind = declared.TABLE if key.table else declared.STRING
    item = Key(type=kind, meaning="", rule=key.rule, table=key.table)
    read = [_value(value, item, (*place, index), found) for index, value in enumerate(values)]
    return tuple(value for value in read if value is not None)


def _inner_table(value: dict[str, Any], key: Key, place: Place, found: Found) -> Any:
    if key.type == declared.ANY:
        return _checked(value, key, place, found)
    if key.table:
        return _table(value, key.table, place, found)
    item = Key(type=declared.STRING, meaning="", rule=key.rule, may_be_empty=key.may_be_empty)
    for name in value:
        if key.names and (complaint := key.names.complaint(name)):
            found.problem(
                (*place, name),
                f"{spell(place)}: {json.dumps(name, ensure_ascii=False)} {complaint}",
                key.names.fix,
            )
    return {name: _value(text, item, (*place, name), found) for name, text in value.items()}


def _checked(value: Any, key: Key, place: Place, found: Found) -> Any:
    if isinstance(value, str) and not value and not key.may_be_empty and key.type != declared.ANY:
        found.problem(place, f"{spell(place)} is empty", _say_fix(key.rule))
    elif key.type == declared.ANY and (held := _not_json(value)):
        found.problem(place, f"{spell(place)} holds {held}, which JSON cannot hold", "Write it as a string.")
    elif isinstance(value, float) and not math.isfinite(value) and key.type != declared.ANY:
        found.problem(place, f"{spell(place)} is {value}, which is no amount")
    elif key.rule and (complaint := key.rule.complaint(value)):
        found.problem(place, f"{spell(place)}: {hide_login(_got_value(value))} {complaint}", key.rule.fix)
    return value


def _not_json(value: Any) -> str:
    if isinstance(value, dict):
        return next(filter(None, map(_not_json, value.values())), "")
    if isinstance(value, list):
        return next(filter(None, map(_not_json, value)), "")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return "" if isinstance(value, str | bool | int | float) else "a date or time"


def _kind(value: Any) -> str:
    kinds = {
        str: declared.STRING,
        bool: declared.BOOLEAN,
        int: declared.INTEGER,
        float: declared.NUMBER,
        dict: declared.TABLE,
        list: "an array",
    }
    return kinds.get(type(value), "a date or time")


def _got(value: Any) -> str:
    kind = _kind(value)
    noun = kind.partition(" ")[2]
    return (
        kind if kind in {declared.TABLE, "an array", "a date or time"} else f"the {noun} {_got_value(value)}"
    )


def _got_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else str(value)


def spell(place: Place) -> str:
    """`tool.azureml-image.run[2].command`: items are counted from 1, as people count."""
    text = ".".join(HERE)
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text


def _spell_table(place: Place) -> str:
    if place and isinstance(place[-1], int):
        return f"[[{spell(place[:-1])}]]"
    return f"[{spell(place)}]"


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    return f'Did you mean "{near[0]}"?' if near else f"Known are {', '.join(known)}."


def _rewritten(value: Any, key: Key, place: Place) -> str:
    """The same value as the key wants it, where that is plain; else what such a value looks like."""
    name = str(place[-1])
    if isinstance(value, str) and key.type == declared.STRINGS:
        items = [value] if name in {"pip", "exclude", "tags"} else value.replace(",", " ").split()
        return f"Write: {name} = {json.dumps(items, ensure_ascii=False)}"
    if isinstance(value, str) and value in {"true", "false"} and key.type == declared.BOOLEAN:
        return f"Write: {name} = {value}"
    if (
        type(value) in {int, float}
        and key.type == declared.STRING
        and not (key.rule and key.rule.complaint(str(value)))
    ):
        return f'Write: {name} = "{value}"' if isinstance(place[-1], str) else f'Write: "{value}"'
    return _example(key, place)


def _example(key: Key, place: Place) -> str:
    if key.rule and key.rule.fix and key.type != declared.TABLE_OF_STRINGS:
        return key.rule.fix
    examples = {
        declared.STRINGS: f'Write: {place[-1]} = ["…"]',
        declared.BOOLEAN: f"Write: {place[-1]} = true",
        declared.TABLE: f"Write: [{spell(place)}]",
        declared.TABLE_OF_STRINGS: f'Write: {place[-1]} = {{ NAME = "value" }}',
        declared.TABLES: f"Write: [[{spell(place)}]]",
    }
    return examples.get(key.type, "Put it in double quotes.")


def _say_fix(rule: Rule | None) -> str:
    return rule.fix if rule else "Remove the key, or give it a value."
