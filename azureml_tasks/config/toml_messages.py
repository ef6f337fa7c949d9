"""TOML's own words for what a value is, and what it should have looked like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import fields as declared
from azureml_tasks.config.problems import spell

if TYPE_CHECKING:
    from azureml_tasks.config.fields import Key
    from azureml_tasks.config.problems import Place

__all__ = ["as_written", "got", "kind", "rewritten"]

_LONGEST_SHOWN = 1000


def kind(value: Any) -> str:
    """What TOML calls a value of this type."""
    kinds = {
        str: declared.STRING,
        bool: declared.BOOLEAN,
        int: declared.INTEGER,
        float: declared.NUMBER,
        dict: declared.TABLE,
        list: "an array",
    }
    return kinds.get(type(value), "a date or time")


def got(value: Any) -> str:
    """The value as it is named where another was wanted: `the string "x"`, `an array`."""
    given = kind(value)
    noun = given.partition(" ")[2]
    return (
        given
        if given in {declared.TABLE, "an array", "a date or time"}
        else f"the {noun} {as_written(value)}"
    )


def as_written(value: Any) -> str:
    """The value much as TOML writes it, as far as a person would read it."""
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"a string of {len(value):,} characters"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else str(value)


def rewritten(value: Any, key: Key, place: Place) -> str:
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
