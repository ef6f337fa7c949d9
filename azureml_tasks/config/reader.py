"""The text of pyproject.toml → `Settings`, with every mistake in it reported."""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from azureml_tasks.config import fields
from azureml_tasks.config.fields import Key, keys
from azureml_tasks.config.near_tables import near_tables
from azureml_tasks.config.problems import FILE, Problems, spell, spell_table
from azureml_tasks.config.settings import Settings
from azureml_tasks.config.toml_document import parse
from azureml_tasks.config.toml_messages import as_written, corrected, kind, with_value
from azureml_tasks.config.toml_positions import locate
from azureml_tasks.errors import FileProblem, SettingsError
from azureml_tasks.plain_text import hide_login

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.config.problems import Override, Place
    from azureml_tasks.config.validators import Rule

TableT = TypeVar("TableT")


def read(text: str, overrides: Mapping[str, Override]) -> tuple[Settings, Problems]:
    """Read the table `[tool.azureml-image]`.

    Args:
        text: the whole of pyproject.toml.
        overrides: key of the table → the value that replaces it in this run.

    Returns:
        The settings and their problems. If there are any, the settings serve only to look for further ones: a key
        with a wrong value has its default, and a wrong item of an array or a table has a placeholder, so that the
        others keep their index.

    Raises:
        SettingsError: the text is not TOML or does not contain the table.
    """
    document = parse(text)
    lines = locate(text)
    near = [*near_tables(document, lines)]
    tools = document.get("tool")
    table = tools.get("azureml-image") if isinstance(tools, dict) else None
    if not isinstance(table, dict):
        if near:
            raise SettingsError(near)
        fix = '[tool.azureml-image]\nbase = "minimal-py312-inference"'
        raise SettingsError([FileProblem(FILE, 0, "has no table [tool.azureml-image]", f"Add it:\n{fix}")])
    sources = {key: override.source for key, override in overrides.items()}
    problems = Problems(document=document, lines=lines, sources=sources)
    problems.extend(near)
    values = {**table, **{key: override.value for key, override in overrides.items()}}
    return _read_table(values, Settings, (), problems), problems


_WRONG = object()
"""In place of a value that does not have its key's type."""


def _read_table(values: Mapping[str, Any], cls: type[TableT], place: Place, problems: Problems) -> TableT:
    known = keys(cls)
    for name in values:
        if name not in known:
            what = f'unknown key "{name}" in {spell_table(place)}'
            problems.add((*place, name), what, _similar(name, list(known)))
    read: dict[str, Any] = {}
    for name, (attribute, key) in known.items():
        if name in values:
            value = _read_value(values[name], key, (*place, name), problems)
            if value is not _WRONG and not problems.is_bad((*place, name)):
                read[attribute] = value
        elif key.required:
            problems.add(place, f'{spell_table(place)} has no "{name}", which is required', _fix(key.rule))
    return cls(**read)


# The types that a key of this type also takes. An array is checked item by item.
_ACCEPTED: dict[str, frozenset[str]] = {
    fields.STRINGS: frozenset({fields.ARRAY}),
    fields.STRING_OR_STRINGS: frozenset({fields.ARRAY, fields.STRING}),
    fields.NUMBER: frozenset({fields.INTEGER}),
    fields.TABLE_OF_STRINGS: frozenset({fields.TABLE}),
    fields.TABLES: frozenset({fields.ARRAY}),
    fields.ANY: frozenset(
        {fields.STRING, fields.BOOLEAN, fields.INTEGER, fields.NUMBER, fields.TABLE, fields.ARRAY}
    ),
}


def _read_value(value: Any, key: Key, place: Place, problems: Problems) -> Any:
    if kind(value) not in {key.type} | _ACCEPTED.get(key.type, frozenset()):
        what = f"{spell(place)} must be {key.type}, got {with_value(value)}"
        problems.add(place, what, corrected(value, key, place))
        return _WRONG
    if key.type == fields.ANY:
        not_json = dict(_not_json(value, place))
        for inner, given in not_json.items():
            what = f"{spell(inner)} is {given}, which JSON cannot express"
            problems.add(inner, what, "Write it as a string.")
        return _WRONG if not_json else value
    if key.type == fields.TABLE:
        return _read_table(value, key.table, place, problems)
    if key.type == fields.TABLE_OF_STRINGS:
        return _read_table_of_strings(value, key, place, problems)
    if isinstance(value, list):
        return _read_array(value, key, place, problems)
    _check(value, key, place, problems)
    return (value,) if key.type == fields.STRING_OR_STRINGS else value


def _read_array(values: list[Any], key: Key, place: Place, problems: Problems) -> tuple[Any, ...]:
    item = Key(
        type=fields.TABLE if key.table else fields.STRING, description="", rule=key.rule, table=key.table
    )
    read = (_read_value(value, item, (*place, index), problems) for index, value in enumerate(values))
    return tuple((key.table() if key.table else "") if value is _WRONG else value for value in read)


def _read_table_of_strings(
    values: dict[str, Any], key: Key, place: Place, problems: Problems
) -> dict[str, str]:
    item = Key(type=fields.STRING, description="", rule=key.rule, may_be_empty=key.may_be_empty)
    read = {}
    for name, value in values.items():
        if key.names and (error := key.names.error(name)):
            written = json.dumps(name, ensure_ascii=False)
            problems.add((*place, name), f"{spell(place)}: {written} {error}", key.names.fix)
        text = _read_value(value, item, (*place, name), problems)
        read[name] = "" if text is _WRONG else text
    return read


def _check(value: Any, key: Key, place: Place, problems: Problems) -> None:
    if value == "" and not key.may_be_empty:
        problems.add(place, f"{spell(place)} is empty", _fix(key.rule))
    elif isinstance(value, float) and not math.isfinite(value):
        problems.add(place, f"{spell(place)} is {value}, which is not a finite number")
    elif key.rule and (error := key.rule.error(value)):
        fix = key.rule.fix_of(value) or key.rule.fix
        problems.add(place, f"{spell(place)}: {hide_login(as_written(value))} {error}", fix)


def _not_json(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield each part of *value* that JSON cannot express, with its place."""
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _not_json(inner, (*place, name))
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, str(value)
    elif kind(value) == fields.DATE:
        yield place, fields.DATE


def _similar(name: str, known: list[str]) -> str:
    similar = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    return f'Did you mean "{similar[0]}"?' if similar else f"Known keys: {', '.join(known)}."


def _fix(rule: Rule | None) -> str:
    return rule.fix if rule else "Remove the key, or give it a value."
