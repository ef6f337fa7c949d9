"""Text from files, names, logs, other programs and registries, made safe to print. Everything that is printed is.

A log is read by terminals and by CI systems, and both obey what stands in it: a terminal control characters, a CI
system its own commands. Azure Pipelines looks for `##vso[…]` and `##[…]` anywhere in a line, GitHub Actions for
`##[…]` anywhere and for `::name …::` at its beginning:
https://github.com/microsoft/azure-pipelines-agent, Agent.Sdk/CommandStringConvertor.cs and Command.cs;
https://github.com/actions/runner, Runner.Common/ActionCommand.cs and ActionCommandManager.cs.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_GITHUB = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|internal-set-repo-path|notice|remove-matcher"
    "|save-state|set-env|set-output|stop-commands|warning"
)
_COMMAND = re.compile(rf":(?=:(?:{_GITHUB})\b)|#(?=#[A-Za-z]*\[)")
"""The first character of a CI system's command, at any place in a line."""
_FIRST_COMMAND = re.compile(r"^([^\S\n]*:)(?=:[^\n]*::)", re.MULTILINE)
"""The same at the beginning of a line, where any name counts."""


class _Shown(dict[int, int]):
    """Code point → itself, or the replacement character if it is not printable."""

    def __missing__(self, code: int) -> int:
        self[code] = code if chr(code).isprintable() or chr(code) in "\t\n" else ord(_UNKNOWN)
        return self[code]


_SHOWN = _Shown()


def clean(text: str) -> str:
    """Return *text* as plain lines that neither a terminal nor a CI system obeys.

    Colours are removed, and every other character that is not printable is replaced: control characters, those that
    change the direction of writing, and the line breaks of Unicode. Of a line that was overwritten after carriage
    returns, the last content is kept. Commands of CI systems get a blank after their first character.
    """
    if not _is_plain(text):
        text = _COLOUR.sub("", text)
        if "\r" in text:
            text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
        text = text.translate(_SHOWN)
    if "##" in text or "::" in text:
        text = _COMMAND.sub(lambda match: f"{match[0]} ", text)
        text = _FIRST_COMMAND.sub(lambda match: f"{match[0]} ", text)
    return text


def one_line(text: str) -> str:
    r"""Return the name or value *text* as `clean` does, with its line breaks written as `\n` and `\r`."""
    return clean(text.replace("\r", r"\r").replace("\n", r"\n"))


def escape_json(text: str) -> str:
    r"""Return the JSON document *text* with the same meaning, and nothing that `clean` would change in its strings.

    Characters that are not printable, and the first one of a command, are written as `\uXXXX`.
    """
    return "".join(
        character if character.isprintable() or character == "\n" else _json_escape(character)
        for character in _COMMAND.sub(lambda match: _json_escape(match[0]), text)
    )


def split_commands(text: str, between: str) -> str:
    """Return *text* with *between* after the first character of each CI system's command."""
    return _COMMAND.sub(lambda match: f"{match[0]}{between}", text)


def shell_join(argv: Sequence[str]) -> str:
    r"""Return the command *argv* as a line to paste; what `clean` would change is written as bash's `$'\x1b'`."""
    return " ".join(map(_shell_word, argv))


def csv_field(text: str) -> str:
    """Return *text* as one field of a line of CSV, as some options of docker's client take several fields."""
    return '"' + text.replace('"', '""') + '"' if '"' in text or "," in text else text


def hide_login(text: str) -> str:
    """Return *text*, a line or an address, with *** in place of a user and password."""
    return "\n".join(map(_hidden, text.split("\n"))) if "@" in text else text


def _is_plain(text: str) -> bool:
    return text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable()


def _json_escape(character: str) -> str:
    """Return a character as JSON's escape; one beyond the first plane as its two surrogates, see RFC 8259 section 7."""
    code = ord(character)
    if code <= 0xFFFF:  # noqa: PLR2004 -- the last code point of the first plane
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _shell_word(word: str) -> str:
    if one_line(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    escaped = _COMMAND.sub(lambda match: _bytes(match[0]), escaped)
    return "$'" + "".join(c if c.isprintable() else _bytes(c) for c in escaped) + "'"


def _bytes(character: str) -> str:
    """Return the bytes of a character's UTF-8; a byte of a name that is no UTF-8 is one of Python's surrogates."""
    try:
        encoded = character.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = character.encode("utf-8", "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in encoded)


def _hidden(line: str) -> str:
    """Hide what stands before the last "@": a password may contain any character, also "/", "#" and "@"."""
    before, _, after = line.rpartition("@")
    user, colon, _ = before.partition(":")
    if not colon:
        return line
    blanks = (at for at in range(len(user) - 1, -1, -1) if user[at].isspace() or user[at] in "\"'")
    start = next(blanks, -1) + 1
    return f"{line[:start]}***@{after}"
