"""The words of a Dockerfile's instruction, with the values of its variables, in the table's terms.

A value is kept as `config.variable_references` writes it: `${NAME}` is a variable of the base, and `$$` a dollar. The
rules are those of https://docs.docker.com/reference/dockerfile/#environment-replacement and of BuildKit's
frontend/dockerfile/shell/lex.go and frontend/dockerfile/parser/line_parsers.go.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from azureml_tasks.config.variable_references import Reference, literal, parts
from azureml_tasks.project.dockerfile_text import words_of

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_VALUE = 30_000
"""Characters of a value: a line of a Dockerfile holds 65,535 bytes, and names of variables may double a value."""
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?P<modifier>[^}]*)\})")
_MODIFIER = re.compile(r"(?P<colon>:?)(?P<sign>[-+])(?P<word>[^$\"'\\]*)")


class UnknownValueError(Exception):
    """A value that the table cannot say.

    Args:
        why: the reason.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def expanded(text: str, value_of: Callable[[str], str | None], escape: str = "\\") -> str:
    """Return the value of *text*, without its quotes.

    Args:
        text: a word of an instruction.
        value_of: returns the value of a variable that the Dockerfile sets; None for one of the base.
        escape: the character that escapes another one.

    Raises:
        UnknownValueError: the table cannot say it.
    """
    pieces: list[str] = []
    at, quote, size = 0, "", 0
    while at < len(text):
        character = text[at]
        piece, end = literal(character), at + 1
        if character == "'" and quote != '"':
            quote, piece = "" if quote else "'", ""
        elif quote == "'":
            pass
        elif character == '"':
            quote, piece = "" if quote else '"', ""
        elif character == escape and end < len(text):
            escapes = not quote or text[end] in f'"${escape}'
            piece, end = literal(text[end] if escapes else text[at : end + 1]), end + 1
        elif character == "$" and (match := _VARIABLE.match(text, at)):
            piece, end = _value(match, value_of), match.end()
        elif character == "$" and text.startswith("${", at):
            raise UnknownValueError(f'"{text[at : at + 20]}" is not finished')
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST_VALUE:
            raise UnknownValueError("it is too long")
        at = end
    return "".join(pieces)


def _value(match: re.Match[str], value_of: Callable[[str], str | None]) -> str:
    """Return the value of one variable."""
    name = match["plain"] or match["name"]
    value = value_of(name)
    if not match["modifier"]:
        return f"${{{name}}}" if value is None else value
    modifier = _MODIFIER.fullmatch(match["modifier"])
    if not modifier:
        raise UnknownValueError(f"the table has no {match[0]}")
    if value is None:
        raise UnknownValueError(f"only the base tells what {match[0]} is")
    if any(isinstance(part, Reference) for part in parts(value)) and modifier["colon"]:
        raise UnknownValueError(f"only the base tells what {match[0]} is")
    is_set = bool(value) if modifier["colon"] else True
    word = literal(modifier["word"])
    if modifier["sign"] == "-":
        return value if is_set else word
    return word if is_set else ""


def plain(value: str) -> str:
    """Return the text of a value that names no variable of the base, else the value as a shell writes it."""
    return "".join(part if isinstance(part, str) else f"${part.name}" for part in parts(value))


def is_plain(value: str) -> bool:
    """Return whether a value names no variable of the base."""
    return all(isinstance(part, str) for part in parts(value))


def name_values(arguments: str) -> list[tuple[str, str]]:
    """Return the names of an ENV or LABEL with their values, still with their quotes; [] if they cannot be read."""
    words = words_of(arguments)
    if not words:
        return []
    if "=" not in words[0]:  # ENV NAME VALUE
        name, _, value = arguments.strip().partition(" ")
        return [(name, value.strip())] if value.strip() else []
    pairs = [word.partition("=") for word in words]
    return (
        [(name, value) for name, _, value in pairs] if all(name and sign for name, sign, _ in pairs) else []
    )


def json_words(arguments: str) -> list[str] | None:
    """Return the words of an instruction in its JSON form; None if it is in the other one."""
    if not arguments.lstrip().startswith("["):
        return None
    try:
        words = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None
