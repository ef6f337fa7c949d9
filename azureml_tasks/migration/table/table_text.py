"""The table as text, and pyproject.toml with the table at its end.

What is in the file stays as it is, byte for byte: the file is never parsed and written again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import tomli
import tomlkit
from tomlkit.items import String, StringType, Trivia

from azureml_tasks.config import image_tables
from azureml_tasks.config.near_tables import near_tables
from azureml_tasks.config.problems import FILE
from azureml_tasks.config.toml_document import parse
from azureml_tasks.config.toml_positions import locate
from azureml_tasks.errors import FileProblem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tomlkit.container import Container
    from tomlkit.items import Item, Table


_TABLE = ("tool", "azureml-image")
_WIDEST = 100
"""Characters of an array in one line; a longer one has a line for each item."""


def table_text(table: Mapping[str, Any], image: str = "", comments: Mapping[str, str] | None = None) -> str:
    """Return the table as TOML.

    Args:
        table: in the order in which its keys are written.
        image: name of the image whose own table it is; "" for the table itself.
        comments: key → what to write beside it.
    """
    path = (*_TABLE, image_tables.KEY, image) if image else _TABLE
    document = tomlkit.document()
    outer: Container | Table = document
    for name in path[:-1]:
        inner = tomlkit.table(is_super_table=True)
        outer.append(name, inner)
        outer = inner
    outer.append(path[-1], _table(table, comments or {}))
    return tomlkit.dumps(document)


def project_text(name: str) -> str:
    """Return the beginning of a new pyproject.toml."""
    return tomlkit.dumps({"project": {"name": name, "version": "0.1.0"}}) + "\n"


def read_document(text: str) -> dict[str, Any]:
    """Return the document of pyproject.toml.

    Raises:
        SettingsError: it is not TOML, or has a table whose name is nearly ours.
    """
    document = parse(text)
    if problems := [*near_tables(document, locate(text))]:
        raise SettingsError(problems)
    return document


def own_table(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the table [tool.azureml-image] of pyproject.toml; None if there is none.

    Raises:
        SettingsError: it is of another type.
    """
    tools = document.get("tool")
    table = tools.get(_TABLE[1]) if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        what = "has tool.azureml-image, which is not a table"
        raise SettingsError([FileProblem(FILE, 0, what, "Remove it.")])
    return table


def addition(text: str, table: str) -> str:
    """Return what to add to the end of *text* so that it has *table*, with the line ends of the text.

    Raises:
        SettingsError: `tool` is written in a way that takes no further table.
    """
    line_end = "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"
    start = "" if not text or text.endswith("\n") else "\n"
    start += "\n" if text.strip() and not text.endswith(("\n\n", "\n\r\n")) else ""
    added = (start + table).replace("\n", line_end)
    try:
        document = tomli.loads(text + added)
    except tomli.TOMLDecodeError:
        document = {}
    expected = _joined(tomli.loads(text), tomli.loads(table))
    if document != expected:
        what = "has `tool` as a value in one line or as an array, to which no table can be added"
        fix = "Write each of its tables under a header of its own, such as [tool.ruff]."
        raise SettingsError([FileProblem(FILE, locate(text).get(("tool",), 0), what, fix)])
    return added


def _joined(document: dict[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(document)
    for name, value in added.items():
        is_table = isinstance(value, dict) and isinstance(joined.get(name), dict)
        joined[name] = _joined(joined[name], value) if is_table else value
    return joined


def _table(values: Mapping[str, Any], comments: Mapping[str, str]) -> Table:
    table = tomlkit.table()
    inner = {name: value for name, value in values.items() if _is_table(value)}
    for name, value in values.items():
        if name not in inner:
            item = _item(value, name)
            if name in comments:
                item.comment(comments[name])
                item.trivia.comment_ws = "  "
            table.add(name, item)
    for name, value in inner.items():
        if isinstance(value, list):
            tables = tomlkit.aot()
            for each in value:
                tables.append(_table(each, {}))
            table.add(name, tables)
        else:
            table.add(name, _table(value, {}))
    return table


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)
    )


def _item(value: Any, name: str) -> Item:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        array.extend(value)
        return array.multiline(multiline=len(f"{name} = {array.as_string()}") > _WIDEST)
    item: Item = tomlkit.item(value)
    return item


def _string(value: str) -> String:
    """Return *value* as a string of several lines if it has them, and without escapes if it can be."""
    is_literal = "'" not in value and value.isprintable()
    is_of_lines = "\n" in value and "'''" not in value and not value.endswith("'")
    if is_of_lines and all(each.isprintable() or each in "\n\t" for each in value):
        return String(StringType.MLL, value, f"\n{value}", Trivia())
    return tomlkit.string(value, literal=is_literal and ("\\" in value or '"' in value))
