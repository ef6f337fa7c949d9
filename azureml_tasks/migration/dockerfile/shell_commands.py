"""A shell text that is a plain chain of simple commands, divided into them. Nothing is run.

The grammar is that of POSIX, Shell Command Language: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html.
A text with anything else of a shell, such as pipes, redirections, loops and "||", is not a plain chain.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)\})")
_NAMES = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_SPECIAL = frozenset("|<>()`")
_GLOBS = frozenset("*?[")
_RESERVED = frozenset({
    "!", "{", "}", "[[", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
    "select", "then", "time", "until", "while",
})  # fmt: skip
_DEEPEST = 20
"""Command substitutions inside each other."""
_LONGEST_VALUE = 4096
"""Characters of a value that a word may take."""


class Command(NamedTuple):
    """A simple command.

    Args:
        text: as it is written.
        words: its words without their quotes; a variable with a known value is replaced.
        assignments: of variables, before the first word.
        operator: before it: "&&" or ";"; "" for the first command.
        is_open: whether only the shell knows all of its words: one has a variable, a pattern or a substitution.
    """

    text: str
    words: tuple[str, ...]
    assignments: tuple[tuple[str, str], ...] = ()
    operator: str = ""
    is_open: bool = False


class _NotPlainError(Exception):
    """The text is more than a chain of simple commands."""


def plain_chain(text: str, value_of: Callable[[str], str | None]) -> tuple[Command, ...] | None:
    """Divide *text* into its commands; None if it is not a plain chain of simple commands.

    Args:
        text: for `/bin/sh -c`.
        value_of: returns the value of a variable; None if only the shell knows it.
    """
    splitting = _Splitting(text, value_of)
    try:
        splitting.split()
    except _NotPlainError:
        return None
    return tuple(splitting.commands)


def named_variables(text: str) -> frozenset[str]:
    """Return the variables that a shell text names, also in quotes."""
    return frozenset(_NAMES.findall(text))


def tidy(text: str) -> str:
    """Return a shell text with one blank in place of several that are outside its quotes."""
    if "#" in text:  # A comment may hold a single quote.
        return text
    pieces: list[str] = []
    quote, at = "", 0
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'":
            pieces.append(text[at : at + 2])
            at += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character in " \t":
            if not pieces or pieces[-1] != " ":
                pieces.append(" ")
            at += 1
            continue
        pieces.append(character)
        at += 1
    begins, ends = pieces[:1] == [" "], pieces[-1:] == [" "]
    return text if quote else "".join(pieces[begins : len(pieces) - ends])


class _Splitting:
    """What is divided of a text so far."""

    def __init__(self, text: str, value_of: Callable[[str], str | None]) -> None:
        self.text, self.value_of = text, value_of
        self.commands: list[Command] = []
        self.words: list[str] = []
        self.word: list[str] | None = None
        self.is_open = False
        self.begins = 0
        self.operator = ""

    def split(self) -> None:
        """Divide the whole text."""
        text, at = self.text, 0
        while at < len(text):
            character = text[at]
            if character in " \t\r":
                self.end_word()
                at += 1
            elif character in ";\n":
                self.end_command(at, ";")
                at += 1
            elif text.startswith("&&", at):
                self.end_command(at, "&&")
                at += 2
            elif character == "&" or character in _SPECIAL:
                raise _NotPlainError
            elif character == "#" and self.word is None:
                at = self.end_of_line(at)
            else:
                at = self.part(at)
        self.end_command(at, "")
        if self.operator == "&&" or not self.commands:
            raise _NotPlainError

    def end_of_line(self, at: int) -> int:
        """Return where a comment ends."""
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def part(self, at: int) -> int:
        """Read a part of a word; return where it ends."""
        text, character = self.text, self.text[at]
        if character == "'":
            return self.quoted(at)
        if character == '"':
            return self.double_quoted(at)
        if character == "\\":
            if at + 1 < len(text) and text[at + 1] != "\n":
                self.add(text[at + 1])
            return at + 2
        if character == "$":
            return self.variable(at, is_quoted=False)
        self.is_open |= character in _GLOBS or (character == "~" and self.word is None)
        self.add(character)
        return at + 1

    def add(self, text: str) -> None:
        """Add to the word."""
        if self.word is None:
            self.word = []
        self.word.append(text)

    def quoted(self, at: int) -> int:
        """Read a part in single quotes."""
        end = self.text.find("'", at + 1)
        if end < 0:
            raise _NotPlainError
        self.add(self.text[at + 1 : end])
        return end + 1

    def double_quoted(self, at: int) -> int:
        """Read a part in double quotes."""
        text = self.text
        self.add("")
        at += 1
        while at < len(text) and text[at] != '"':
            character = text[at]
            if character == "`":
                raise _NotPlainError
            if character == "$":
                at = self.variable(at, is_quoted=True)
            elif character == "\\" and at + 1 < len(text):
                self.add(text[at + 1] if text[at + 1] in '$`"\\' else text[at : at + 2].replace("\\\n", ""))
                at += 2
            else:
                self.add(character)
                at += 1
        if at >= len(text):
            raise _NotPlainError
        return at + 1

    def variable(self, at: int, *, is_quoted: bool) -> int:
        """Read a variable or a substitution."""
        if self.text.startswith("$(", at):
            end = _end_of_substitution(self.text, at + 2)
            self.add(self.text[at:end])
            self.is_open = True
            return end
        match = _VARIABLE.match(self.text, at)
        if not match:
            end = at + 1
            if self.text.startswith("${", at):
                end = self.text.find("}", at) + 1
                if not end:
                    raise _NotPlainError
            self.add(self.text[at:end])
            self.is_open = True
            return end
        value = self.value_of(match["plain"] or match["braced"])
        if value is None or len(value) > _LONGEST_VALUE:
            self.add(match[0])
            self.is_open = True
        elif is_quoted:
            self.add(value)
        else:
            self.insert(value)
        return match.end()

    def insert(self, value: str) -> None:
        """Add a value that is not in quotes, which the shell splits at its blanks."""
        self.is_open |= not _GLOBS.isdisjoint(value)
        parts = value.split()
        if value[:1].isspace():
            self.end_word()
        for index, part in enumerate(parts):
            if index:
                self.end_word()
            self.add(part)
        if parts and value[-1].isspace():
            self.end_word()

    def end_word(self) -> None:
        """End the word."""
        if self.word is not None:
            self.words.append("".join(self.word))
            self.word = None

    def end_command(self, at: int, operator: str) -> None:
        """End the command before *at*, which *operator* follows."""
        self.end_word()
        assignments, words = _divided(self.words)
        if words and words[0] in _RESERVED:
            raise _NotPlainError
        if self.words:
            self.commands.append(
                Command(
                    text=self.text[self.begins : at].strip(),
                    words=tuple(words),
                    assignments=tuple(assignments),
                    operator=self.operator,
                    is_open=self.is_open,
                )
            )
            self.operator = operator
        elif operator == "&&":
            raise _NotPlainError
        self.words, self.is_open = [], False
        self.begins = at + len(operator)


def _divided(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Divide the words of a command into its assignments and the rest."""
    assignments: list[tuple[str, str]] = []
    for index, word in enumerate(words):
        match = _ASSIGNMENT.fullmatch(word)
        if not match:
            return assignments, words[index:]
        assignments.append((match[1], match[2]))
    return assignments, []


def _end_of_substitution(text: str, at: int) -> int:
    """Return where the command substitution that begins before *at* ends."""
    depth, quote = 1, ""
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if not depth:
                return at + 1
        if depth > _DEEPEST:
            break
        at += 1
    raise _NotPlainError
