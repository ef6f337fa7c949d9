"""Values and their types in TOML's words, for messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import fields
from azureml_tasks.config.problems import spell, spell_table

if TYPE_CHECKING:
    from azureml_tasks.config.fields import Key
    from azureml_tasks.config.problems import Place

_LONGEST_SHOWN = 1000
_KINDS = {
    str: fields.STRING,
    bool: fields.BOOLEAN,
    int: fields.INTEGER,
    float: fields.NUMBER,
    dict: fields.TABLE,
    list: fields.ARRAY,
}


def kind(value: Any) -> str:
    """Return TOML's name for the type of *value*."""
    return _KINDS.get(type(value), fields.DATE)


def with_value(value: Any) -> str:
    """Return the type of *value* with the value itself, if that is short: `the string "x"`, `an array`."""
    name = kind(value)
    if name in {fields.TABLE, fields.ARRAY, fields.DATE}:
        return name
    return f"the {name.partition(' ')[2]} {as_written(value)}"


def as_written(value: Any) -> str:
    """Return *value* as TOML writes it; a very long string as its length in characters."""
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"a string of {len(value):,} characters"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else str(value)


def corrected(value: Any, key: Key, place: Place) -> str:
    """Return *value* written with the key's type, if that is certain; else an example of the type."""
    name = str(place[-1])
    if isinstance(value, str) and key.type == fields.STRINGS:
        items = [value] if name in {"pip", "exclude", "tags"} else value.replace(",", " ").split()
        return f"Write: {name} = {json.dumps(items, ensure_ascii=False)}"
    if isinstance(value, str) and value in {"true", "false"} and key.type == fields.BOOLEAN:
        return f"Write: {name} = {value}"
    if (
        type(value) in {int, float}
        and key.type == fields.STRING
        and not (key.rule and key.rule.error(str(value)))
    ):
        return f'Write: {name} = "{value}"' if isinstance(place[-1], str) else f'Write: "{value}"'
    if key.rule and key.rule.fix and key.type != fields.TABLE_OF_STRINGS:
        return key.rule.fix
    examples = {
        fields.STRINGS: f'Write: {place[-1]} = ["…"]',
        fields.BOOLEAN: f"Write: {place[-1]} = true",
        fields.TABLE: f"Write: {spell_table(place)}",
        fields.TABLE_OF_STRINGS: f'Write: {place[-1]} = {{ NAME = "value" }}',
        fields.TABLES: f"Write: [[{spell(place)}]]",
        fields.TABLE_OF_TABLES: f"Write: {spell_table((*place, 'gpu'))}",
    }
    return examples.get(key.type, "Write it in double quotes.")
