"""The settings as JSON Schema, for editors, and as Markdown tables, for the documentation."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from azureml_tasks.config import fields, image_tables
from azureml_tasks.config.fields import UNSET, Key, keys
from azureml_tasks.config.settings import Acr, Run, Settings
from azureml_tasks.config.smoke_test_settings import FormPart, Request, SmokeTest

_TYPES: dict[str, dict[str, Any]] = {
    fields.STRING: {"type": "string"},
    fields.BOOLEAN: {"type": "boolean"},
    fields.INTEGER: {"type": "integer"},
    fields.NUMBER: {"type": "number"},
    fields.ANY: {},
}


_DRAFT = "http://json-schema.org/draft-07/schema#"
"""What editors for TOML and `validate-pyproject` read."""
_ID = "urn:azureml-tasks:schema:{}"
TABLE_NAME = "azureml-image"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07) of the table `[tool.azureml-image]`.

    It is not complete: the reader also checks rules that JSON Schema cannot express.
    """
    return {
        "$schema": _DRAFT,
        "$id": _ID.format("table"),
        "title": "The table [tool.azureml-image] of azureml-tasks",
        **_whole_table(),
    }


def pyproject_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07) of a `pyproject.toml` with that table; it takes anything beside it."""
    tool = {"type": "object", "properties": {TABLE_NAME: _whole_table()}}
    return {
        "$schema": _DRAFT,
        "$id": _ID.format("pyproject"),
        "title": "A pyproject.toml with the table [tool.azureml-image] of azureml-tasks",
        "type": "object",
        "properties": {"tool": tool},
    }


def tool_schema(tool_name: str) -> dict[str, Any]:
    """Return the schema of the table of *tool_name*, for `validate-pyproject`.

    https://validate-pyproject.readthedocs.io/en/stable/dev-guide.html
    """
    if tool_name != TABLE_NAME:
        raise ValueError(f"the table is {TABLE_NAME}, not {tool_name}")
    return json_schema()


def _whole_table() -> dict[str, Any]:
    refused = {name: False for name, (_, key) in keys(Settings).items() if not key.beside_dockerfile}
    return {
        **_of_table(Settings),
        # What one of several images needs, it may have from its own table.
        "anyOf": [{"required": [name]} for name in ("base", "dockerfile", image_tables.KEY)],
        "dependencies": {"dockerfile": {"properties": refused}},
    }


def _of_table(cls: type[Any], *, with_shared: bool = True) -> dict[str, Any]:
    """Return the schema of a table; *with_shared* tells whether it has the keys that all images share."""
    known = {name: each for name, each in keys(cls).items() if with_shared or not each[1].shared}
    required = [name for name, (_, key) in known.items() if key.required]
    properties = {name: _of_key(key) | {"description": key.description} for name, (_, key) in known.items()}
    table = {"type": "object", "additionalProperties": False, "properties": properties}
    return table | ({"required": required} if required else {})


def _of_images(names: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a table of tables: each has the keys of the top table, but those that all images share."""
    table = _of_table(Settings, with_shared=False)
    return {"type": "object", "minProperties": 1, "propertyNames": names, "additionalProperties": table}


def _of_key(key: Key) -> dict[str, Any]:
    if key.type == fields.TABLE_OF_TABLES:
        return _of_images(key.names.schema if key.names else {})
    if key.table:
        inner = _of_table(key.table)
        return inner if key.type == fields.TABLE else {"type": "array", "items": inner}
    if key.type == fields.TABLE_OF_STRINGS:
        names = {"propertyNames": key.names.schema} if key.names else {}
        return {"type": "object", "additionalProperties": _of_string(key), **names}
    if key.type == fields.STRINGS:
        return {"type": "array", "items": _of_string(key)}
    if key.type == fields.STRING_OR_STRINGS:
        return {"anyOf": [_of_string(key), {"type": "array", "items": _of_string(key)}]}
    return (
        _of_string(key)
        if key.type == fields.STRING
        else _TYPES[key.type] | (key.rule.schema if key.rule else {})
    )


def _of_string(key: Key) -> dict[str, Any]:
    empty = {} if key.may_be_empty else {"minLength": 1}
    return {"type": "string", **empty, **(key.rule.schema if key.rule else {})}


_TABLES = (
    ("[tool.azureml-image]", Settings),
    ("[[tool.azureml-image.run]]", Run),
    ("[tool.azureml-image.smoke-test]", SmokeTest),
    ("[[tool.azureml-image.smoke-test.requests]]", Request),
    ("[[tool.azureml-image.smoke-test.requests.form]]", FormPart),
    ("[tool.azureml-image.acr]", Acr),
)


def markdown() -> str:
    """Return the settings as Markdown: a heading and a table for each table of the TOML."""
    return "\n\n".join(f"### `{name}`\n\n{_rows(cls)}" for name, cls in _TABLES) + "\n"


def _rows(cls: type[Any]) -> str:
    by_name = {field.name: field for field in dataclasses.fields(cls)}
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, (attribute, key) in keys(cls).items():
        type_ = (
            key.type.replace("a string or an array", "string or array").removeprefix("an ").removeprefix("a ")
        )
        rows.append(
            f"| `{name}` | {type_} | {_default(by_name[attribute], key)} | {_cell(key.description)} |"
        )
    return "\n".join(rows)


def _default(field: dataclasses.Field[Any], key: Key) -> str:
    if key.required:
        return "required"
    if key.default:
        return _cell(key.default)
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    if value is None or value is UNSET:
        return "none"
    if dataclasses.is_dataclass(value):
        return "`{}`"
    return f"`{json.dumps(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
