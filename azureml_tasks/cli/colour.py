"""Colour of what a terminal shows; a pipe, a dumb terminal and NO_COLOR (https://no-color.org) switch it off.

This writes few lines: most commands show nothing that is worth the import of a library.
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

Style = Literal["", "bad", "dim", "good", "next", "warning"]

_CODES = {"bad": "31", "dim": "2", "good": "32", "next": "1", "warning": "33"}
"""Parameters of "select graphic rendition" (ECMA-48, 8.3.117); each terminal has its own shade of these."""

NONE: Mapping[str, Style] = MappingProxyType({})


def is_coloured(stream: TextIO) -> bool:
    """Return whether *stream* is a terminal that shows colours, and nobody asked for none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, style: Style, stream: TextIO) -> str:
    """Return *text*, which is cleaned, in a colour if *stream* shows colours; each line of it on its own."""
    if not style or not is_coloured(stream):
        return text
    return "\n".join(f"\x1b[{_CODES[style]}m{line}\x1b[0m" if line else "" for line in text.split("\n"))


def with_painted_starts(text: str, styles: Mapping[str, Style], stream: TextIO) -> str:
    """Return *text*, which is cleaned, with the first word of each line in its style, if it has one."""
    if not styles or not is_coloured(stream):
        return text
    lines = []
    for line in text.split("\n"):
        word, blank, rest = line.partition(" ")
        lines.append(painted(word, styles.get(word, ""), stream) + blank + rest)
    return "\n".join(lines)
