"""The little YAML that Azure ML is given: block mappings of strings, whole numbers and further such mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Value", "dump"]

Value: TypeAlias = "str | int | Mapping[str, Value]"


def dump(values: Mapping[str, Value], comments: Mapping[str, str] | None = None) -> str:
    """*values* as YAML text, in their order.

    Every string stands in double quotes, so that no version of YAML reads a number, a date or a boolean in it.

    Args:
        values: not empty, and no mapping in it is; the keys are words that YAML reads as they are.
        comments: key of *values* → the lines that stand above it.
    """
    lines: list[str] = []
    for key, value in values.items():
        lines += [f"# {line}" for line in (comments or {}).get(key, "").splitlines()]
        lines += _lines({key: value}, "")
    return "".join(f"{line}\n" for line in lines)


def _lines(values: Mapping[str, Value], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {_quoted(value) if isinstance(value, str) else value}"


def _quoted(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\U{ord(character):08X}"
