"""The text of pyproject.toml → `Settings`, with every mistake in it collected."""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

import tomli

from azureml_tasks.config import fields as declared
from azureml_tasks.config.fields import Key, keys
from azureml_tasks.config.problems import FILE, Problems, spell
from azureml_tasks.config.settings import Settings
from azureml_tasks.config.toml_messages import as_written, got, kind, rewritten
from azureml_tasks.config.toml_positions import locate
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.plain_text import hide_login

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Override, Place
    from azureml_tasks.config.validators import Rule

__all__ = ["read"]

TableT = TypeVar("TableT")


def read(text: str, overrides: Mapping[str, Override]) -> tuple[Settings, Problems]:
    """Read the table, with *overrides* (key of the table → value) above it.

    Returns:
        The settings and their problems. If there are any, wrong values are replaced by defaults, and the
        settings serve to look for further problems only.

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
    problems = Problems(
        document=document, lines=locate(text), sources={k: o.source for k, o in overrides.items()}
    )
    above = {key: override.value for key, override in overrides.items()}
    return _table({**table, **above}, Settings, (), problems), problems


def _table(values: Mapping[str, Any], cls: type[TableT], place: Place, problems: Problems) -> TableT:
    known = keys(cls)
    for name in values:
        if name not in known:
            problems.add(
                (*place, name), f'unknown key "{name}" in {_spell_table(place)}', _near(name, list(known))
            )
    given: dict[str, Any] = {}
    for name, (attribute, key) in known.items():
        if name in values:
            before = len(problems)
            value = _value(values[name], key, (*place, name), problems)
            if len(problems) == before or (key.table and value is not None):
                given[attribute] = value
        elif key.required:
            what = f'{_spell_table(place)} has no "{name}", which it must have'
            problems.add(place, what, _say_fix(key.rule))
    return cls(**given)


def _value(value: Any, key: Key, place: Place, problems: Problems) -> Any:
    given = kind(value)
    if given not in {key.type} | _ALLOWED[key.type]:
        fix = rewritten(value, key, place)
        problems.add(place, f"{spell(place)} must be {key.type}, got {got(value)}", fix)
        return None
    if given == declared.TABLE:
        return _inner_table(value, key, place, problems)
    if isinstance(value, list) and key.type != declared.ANY:
        return _array(value, key, place, problems)
    if key.type == declared.STRING_OR_STRINGS:
        return (_checked(value, key, place, problems),)
    return _checked(value, key, place, problems)


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


def _array(values: list[Any], key: Key, place: Place, problems: Problems) -> tuple[Any, ...]:
    inner = declared.TABLE if key.table else declared.STRING
    item = Key(type=inner, meaning="", rule=key.rule, table=key.table)
    read = [_value(value, item, (*place, index), problems) for index, value in enumerate(values)]
    return tuple(value for value in read if value is not None)


def _inner_table(value: dict[str, Any], key: Key, place: Place, problems: Problems) -> Any:
    if key.type == declared.ANY:
        return _checked(value, key, place, problems)
    if key.table:
        return _table(value, key.table, place, problems)
    item = Key(type=declared.STRING, meaning="", rule=key.rule, may_be_empty=key.may_be_empty)
    for name in value:
        if key.names and (complaint := key.names.complaint(name)):
            problems.add(
                (*place, name),
                f"{spell(place)}: {json.dumps(name, ensure_ascii=False)} {complaint}",
                key.names.fix,
            )
    return {name: _value(text, item, (*place, name), problems) for name, text in value.items()}


def _checked(value: Any, key: Key, place: Place, problems: Problems) -> Any:
    if isinstance(value, str) and not value and not key.may_be_empty and key.type != declared.ANY:
        problems.add(place, f"{spell(place)} is empty", _say_fix(key.rule))
    elif key.type == declared.ANY and (held := _not_json(value)):
        problems.add(place, f"{spell(place)} holds {held}, which JSON cannot hold", "Write it as a string.")
    elif isinstance(value, float) and not math.isfinite(value) and key.type != declared.ANY:
        problems.add(place, f"{spell(place)} is {value}, which is no amount")
    elif key.rule and (complaint := key.rule.complaint(value)):
        problems.add(place, f"{spell(place)}: {hide_login(as_written(value))} {complaint}", key.rule.fix)
    return value


def _not_json(value: Any) -> str:
    if isinstance(value, dict):
        return next(filter(None, map(_not_json, value.values())), "")
    if isinstance(value, list):
        return next(filter(None, map(_not_json, value)), "")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return "" if isinstance(value, str | bool | int | float) else "a date or time"


def _spell_table(place: Place) -> str:
    if place and isinstance(place[-1], int):
        return f"[[{spell(place[:-1])}]]"
    return f"[{spell(place)}]"


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    return f'Did you mean "{near[0]}"?' if near else f"Known are {', '.join(known)}."


def _say_fix(rule: Rule | None) -> str:
    return rule.fix if rule else "Remove the key, or give it a value."
