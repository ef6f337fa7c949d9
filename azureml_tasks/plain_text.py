"""Text from other programs and from the project, made safe to print."""

from __future__ import annotations

import re

_COLOUR = r"\x1b\[[0-9;?]*[A-Za-z]"


def clean(text: str) -> str:
    """Return the output *text* of another program as plain lines.

    Colours and other control characters are removed, since they could rewrite the terminal. Of a line that was
    overwritten after carriage returns, the last content is kept.
    """
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in re.sub(_COLOUR, "", text).split("\n")]
    return "\n".join(
        "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
        for line in lines
    )


def hide_login(text: str) -> str:
    """Return *text*, a line or an address, with *** in place of a user and password."""
    # Up to the last "@": a password may contain any character, also "/", "#" and "@".
    return re.sub(r"[^\s\"']*:.*@", "***@", text)
