"""Text of other programs and of the project, made fit to be shown."""

from __future__ import annotations

import re

__all__ = ["clean", "hide_login"]

_COLOUR = r"\x1b\[[0-9;?]*[A-Za-z]"


def clean(text: str) -> str:
    """*text* of another program as plain lines.

    Colours and other controls go, which could rewrite what stands on a terminal; of a line that was
    written over by carriage returns, what stood there last stays.
    """
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in re.sub(_COLOUR, "", text).split("\n")]
    return "\n".join(
        "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
        for line in lines
    )


def hide_login(text: str) -> str:
    """Return *text*, a line or an address, without what may be a user and a password."""
    # Up to the last "@": a password may hold any character, also "/", "#" and "@".
    return re.sub(r"[^\s\"']*:.*@", "***@", text)
