"""Words and numbers of the page: bounded, on one line, and without control characters."""

from __future__ import annotations

from datetime import datetime, timezone

from azureml_tasks.plain_text import one_line

_LONGEST = 300  # characters


def short(text: str, most: int = _LONGEST) -> str:
    """Return *text* on one line, cut after *most* characters."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def date_text(seconds: float) -> str:
    """Return a time, given in seconds since 1970, as `2026-11-30 11:02 UTC`; "" if it is 0 or no time."""
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return ""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if seconds else ""


def count_text(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as `1 file` or `2 files`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
