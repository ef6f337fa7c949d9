"""The form of a netrc, without its values: https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|(?:[^\s"\\]|\\.)(?:[^\s\\]|\\.)*', re.DOTALL)
_VALUES = ("login", "user", "account", "password")


def bad_netrc_line(content: bytes) -> tuple[int, str]:
    """Return the first line with a mistake and what is wrong with it, to follow "line 1"; (0, "") for none.

    pip ignores the whole file without a word if its form is wrong. An entry `default` would send its password to any
    host that a requirements file names.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1, "is not UTF-8"
    words, in_entry, machines = _words(text), False, 0
    for line, word in words:
        if word == "default":
            return (
                line,
                "has an entry for every host; name each host: machine HOST login NAME password PASSWORD",
            )
        if word in ("machine", "macdef") or (word in _VALUES and in_entry):
            if next(words, (0, ""))[0] == 0:
                return line, f'has no value after "{word}"'
            in_entry |= word == "machine"
            machines += word == "machine"
        else:
            expected = (
                "login, user, account, password, machine or macdef" if in_entry else "machine or macdef"
            )
            return line, f"has another word where {expected} must be"
    return (0, "") if machines else (1, "begins no entry of a machine")


def _words(text: str) -> Iterator[tuple[int, str]]:
    """Yield each word with its line, without comments and without the body of a macro, which an empty line ends."""
    in_macro, expects_value = False, False
    for line, words in ((number, _WORD.findall(each)) for number, each in enumerate(text.split("\n"), 1)):
        if in_macro:
            in_macro = bool(words)
            continue
        for word in words:
            if word.startswith("#") and not expects_value:
                break
            yield line, word
            in_macro |= word == "macdef" and not expects_value
            expects_value = not expects_value and word in ("machine", "macdef", *_VALUES)
