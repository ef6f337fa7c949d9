"""The agent's templates and aliases, as far as task files for images need them."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ALIASES", "TemplateError", "aliased", "render", "scanned"]

_LINE = 64 * 1024

ALIASES = {
    **{name: f"{{{{.Run.{name}}}}}" for name in ("SharedVolume", "Registry", "RegistryName", "Date", "OS")},
    **{name: f"{{{{.Run.{name}}}}}" for name in ("Architecture", "Commit", "Branch", "ID")},
    "acr": "mcr.microsoft.com/acr/acr-cli:0.19",
    "az": "mcr.microsoft.com/acr/azure-cli:2ff604c",
    "bash": "mcr.microsoft.com/acr/bash:2ff604c",
    "curl": "mcr.microsoft.com/acr/curl:2ff604c",
    "cssc": "mcr.microsoft.com/acr/cssc:2ff604c",
}
_FUNCTIONS: Mapping[str, Callable[[Any], str]] = {
    "b64enc": lambda value: base64.b64encode(_text(value).encode()).decode(),
    "b64dec": lambda value: base64.b64decode(_text(value)).decode(),
    "lower": lambda value: _text(value).lower(),
    "quote": lambda value: json.dumps(_text(value), ensure_ascii=False),
    "squote": lambda value: f"'{_text(value)}'",
    "trim": lambda value: _text(value).strip(),
    "upper": lambda value: _text(value).upper(),
}


class TemplateError(Exception):
    """A template is invalid, or not supported here."""


def render(text: str, values: Mapping[str, Any]) -> str:
    """Replace every `{{…}}` in *text*; a missing value becomes empty.

    Raises:
        TemplateError: braces do not close, or what is between them is not known here.
    """
    rendered, rest = "", text
    while "{{" in rest:
        before, _, rest = rest.partition("{{")
        inside, closed, rest = rest.partition("}}")
        if not closed:
            raise TemplateError("failed to parse template: unclosed action")
        if inside.startswith("- "):
            before, inside = before.rstrip(), inside[2:]
        if inside.endswith(" -"):
            inside, rest = inside[:-2], rest.lstrip()
        rendered += before + _value(inside.strip(), values)
    return rendered + rest


def aliased(text: str) -> str:
    """Replace aliases by their templates and `$$` by `$`, and remove comments."""

    def replaced(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name == "$" else ALIASES.get(name, match.group(0))

    lines = [f"{line}\n" for line in scanned(text) if not line.lstrip().startswith("#")]
    return re.sub(r"\$(\$|[a-zA-Z0-9]+)", replaced, "".join(lines))


def scanned(text: str) -> list[str]:
    """Return the lines of *text* as the agent's scanner does, which silently stops at one of 64 KiB."""
    lines = text.removesuffix("\n").split("\n")
    return list(itertools.takewhile(lambda line: len(line.encode()) < _LINE, lines))


def _value(inside: str, values: Mapping[str, Any]) -> str:
    if inside.startswith("/*"):
        return ""
    first, *functions = [part.strip() for part in inside.split("|")]
    function, _, operand = first.partition(" ")
    if function in _FUNCTIONS and operand:
        functions.insert(0, function)
        first = operand.strip()
    value = _operand(first, values)
    for name in functions:
        if name not in _FUNCTIONS:
            raise TemplateError(f'failed to parse template: function "{name}" not defined')
        value = _FUNCTIONS[name](value)
    return _text(value)


def _operand(text: str, values: Mapping[str, Any]) -> Any:
    if re.fullmatch(r'"(?:[^"\\]|\\.)*"', text):
        return json.loads(text)
    if re.fullmatch(r"`[^`]*`", text):
        return text[1:-1]
    if not re.fullmatch(r"(?:\.\w+)+", text):
        raise TemplateError(f'failed to parse template: unexpected "{text}" in operand')
    value: Any = values
    for name in text[1:].split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    return "" if value is None else str(value)
