"""What one line of a Dockerfile can hold: its length, its characters, and text in quotes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from azureml_tasks.config.variable_references import parts
from azureml_tasks.plain_text import escape_json, split_commands

if TYPE_CHECKING:
    from azureml_tasks.config.variable_references import Reference

LONGEST_LINE = 65_535
"""The longest line, in bytes, that Docker's two builders read: `bufio.MaxScanTokenSize` of Go."""
_RESERVED = 1024
"""Bytes that an instruction's other words may take."""
_TOO_LONG = f"is longer than a Dockerfile line, which holds {LONGEST_LINE:,} bytes"


JOIN = '""'
"""Ends a quoted part of a word and begins the next one."""


def quoted(text: str) -> str:
    r"""Return *text* in double quotes, as ENV and LABEL read it back unchanged.

    Inside double quotes Docker knows three escapes, `\"`, `\$` and `\\`
    (https://docs.docker.com/reference/dockerfile/#environment-replacement; moby's shell lexer). A CI system's command
    is split into two quoted parts, which Docker joins: `image.dockerfile` may be shown in a log.
    """
    return f'"{split_commands(_escaped(text), between=JOIN)}"'


def quoted_value(value: str) -> str:
    """Return the *value* of a variable in double quotes, as ENV reads it, see `variable_references`.

    A build fails if the base does not set a variable that it names: `:?` does that in both of Docker's builders.
    """
    inner = "".join(
        _escaped(part) if isinstance(part, str) else _docker_reference(part) for part in parts(value)
    )
    return f'"{split_commands(inner, between=JOIN)}"'


def _docker_reference(reference: Reference) -> str:
    return reference.optional or f"${{{reference.name}:?the base sets no {reference.name}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")


def json_words(words: list[str]) -> str:
    """Return *words* as the JSON array of an instruction; a CI system that shows it obeys nothing in it."""
    return escape_json(json.dumps(words))


def control_character(text: str) -> str:
    """Name the first character of *text* that no line of a Dockerfile can hold; "" if there is none."""
    names = {"\n": "a line break", "\r": "a carriage return", "\0": "a NUL character"}
    return next((names[character] for character in text if character in names), "")


def one_line_error(text: str) -> str:
    """Say why *text* does not fit in quotes on a line of a Dockerfile; "" if it does."""
    if character := control_character(text):
        return f"contains {character}, which a Dockerfile cannot hold"
    return _length_error(quoted(text))


def command_error(text: str) -> str:
    """Say why *text* cannot be a shell command of a Dockerfile; "" if it can."""
    if "\0" in text:
        return "contains a NUL character, which a command cannot hold"
    return _length_error(json_words([text]))


def _length_error(written: str) -> str:
    length = len(written.encode(errors="surrogatepass"))
    return _TOO_LONG if length > LONGEST_LINE - _RESERVED else ""
