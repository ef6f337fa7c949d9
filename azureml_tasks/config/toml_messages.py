"""Values and their types in TOML's words, for messages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import fields, validators
from azureml_tasks.config.problems import spell, spell_table
from azureml_tasks.plain_text import escape_json

if TYPE_CHECKING:
    from azureml_tasks.config.fields import Key
    from azureml_tasks.config.problems import Place

_LONGEST_SHOWN = 1000
_NUMBER = re.compile(
    r"(?P<number>(?:0|[1-9][0-9]{0,8})(?P<rest>(?:\.[0-9]{1,9})?(?:e-?[0-9]{1,2})?))(?: ?s)?"
)
"""A number as TOML writes it, with or without the unit of seconds."""
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


def exclude_line(pattern: str) -> str:
    r"""Return the line of the table that leaves *pattern* out; what is not safe to print is written as `\uXXXX`."""
    return f"exclude = [{escape_json(json.dumps(pattern, ensure_ascii=False))}]"


def _number(text: str, key: Key) -> str:
    """Return the number of a *text* such as `"5001"` or `"60s"` if *key* takes it; "" for others."""
    written = _NUMBER.fullmatch(text)
    if not written or (key.type == fields.INTEGER and written["rest"]):
        return ""
    is_taken = key.type in {fields.INTEGER, fields.NUMBER} and not (
        key.rule and key.rule.error(float(written["number"]))
    )
    return written["number"] if is_taken else ""


def corrected(value: Any, key: Key, place: Place) -> str:
    """Return *value* written with the key's type, if that is certain; else an example of the type."""
    name = str(place[-1])
    if isinstance(value, str) and key.type == fields.STRINGS:
        items = [value] if name in {"pip", "exclude", "tags"} else value.replace(",", " ").split()
        return f"Write: {name} = {json.dumps(items, ensure_ascii=False)}"
    if isinstance(value, str) and value in {"true", "false"} and key.type == fields.BOOLEAN:
        return f"Write: {name} = {value}"
    if isinstance(value, str) and (number := _number(value, key)):
        return f"Write: {name} = {number}"
    if isinstance(value, bool) and (
        key.rule is validators.ONE_LINE or key.rule is validators.VALUE_OF_VARIABLE
    ):
        return f'Write: {name} = "{str(value).lower()}"'
    if (
        type(value) in {int, float}
        and key.type == fields.STRING
        and not (key.rule and key.rule.error(str(value)))
    ):
        return f'Write: {name} = "{value}"' if isinstance(place[-1], str) else f'Write: "{value}"'
    if name == "request" and isinstance(value, dict | list):
        return f"Write: [[{spell((*place[:-1], 'requests'))}]]"
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
