"""Parse the text of pyproject.toml, within the bounds of what can be shown, compared and written again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import tomli

from azureml_tasks.config.problems import FILE
from azureml_tasks.config.toml_positions import Path, locate
from azureml_tasks.errors import FileProblem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 100
"""Tables and arrays inside each other; a real table has about five."""
_LARGEST = 2**63
"""Integers of TOML have 64 bits: https://toml.io/en/v1.0.0#integer"""
_BARE_WORD = re.compile(r"""\s*(?P<key>[\w.-]+)\s*=\s*(?P<word>[A-Za-z][^"'\[\]{}=,#\\]*)(?:#.*)?""")
"""A key with a word without quotation marks; a backslash in it would have another meaning between them."""


def parse(text: str, file: str = FILE) -> dict[str, Any]:
    """Return the document.

    Args:
        text: all of it.
        file: its name for messages, relative to the project.

    Raises:
        SettingsError: the text is not TOML, is nested too deep, or holds a larger integer than TOML has.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        what, line = f"is not valid TOML: {error.msg} (column {error.colno})", error.lineno
        raise _error(file, what, line, _correction(error.msg, text.split("\n")[line - 1])) from error
    except RecursionError as error:
        raise _error(file, "has tables or arrays that are nested too deep") from error
    except ValueError as error:  # Python converts no text of more than 4,300 digits.
        raise _error(file, "has a number with too many digits") from error
    for value, path in _parts(document):
        if len(path) > DEEPEST:
            raise _error(file, f"has tables or arrays that are nested more than {DEEPEST} deep")
        if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            raise _error(
                file, "has an integer of more than 64 bits, which TOML has not", locate(text).get(path, 0)
            )
    return document


def is_too_deep(value: Any) -> bool:
    """Return whether arrays and tables, of TOML or of JSON, are nested deeper than `DEEPEST`."""
    return any(len(path) > DEEPEST for _, path in _parts(value))


def _parts(document: Any) -> Iterator[tuple[Any, Path]]:
    """Yield each value with its path; a loop, because a dotted key can nest deeper than Python calls."""
    waiting: list[tuple[Any, Path]] = [(document, ())]
    while waiting:
        value, path = waiting.pop()
        yield value, path
        if isinstance(value, dict):
            waiting += [(inner, (*path, name)) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, (*path, index)) for index, inner in enumerate(value)]


def _correction(why: str, line: str) -> str:
    """Return what to do about a *line* that is not TOML, of which tomli says *why*."""
    fix = "Correct this line."
    if why == "Cannot overwrite a value" or why.startswith("Cannot declare "):
        fix = "The file sets this key or table twice: delete one of the two."
    elif why == "Invalid value" and (written := _BARE_WORD.fullmatch(line.rstrip("\r"))):
        word = written["word"].rstrip()
        value = word.lower() if word.lower() in {"true", "false"} else f'"{word}"'
        return f"Write: {written['key']} = {value}\nThe rest of the file was not read."
    return f"{fix} The rest of the file was not read."


def _error(
    file: str, what: str, line: int = 0, fix: str = "Write it in another way. Nothing was read."
) -> SettingsError:
    return SettingsError([FileProblem(file, line, what, fix, "not-toml")])
