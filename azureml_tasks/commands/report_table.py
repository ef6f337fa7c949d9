"""The lines of pyproject.toml that describe an image, without secrets, for the page of `image.report`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.config.toml_positions import locate
from azureml_tasks.migration.secret_texts import hide_secrets, is_secret_key

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = ("tool", "azureml-image")
_IMAGES = (*_TABLE, "images")
_STRING = r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
_ASSIGNED = re.compile(
    rf"""(?<![\w.-])(?P<name>["']?[\w-][\w.-]*["']?)(?P<sign>\s*=\s*)(?P<value>{_STRING})""", re.DOTALL
)
"""A name is looked for at its first character alone: from each one on, a long word takes hours."""


def table_lines(text: str, image: str) -> str:
    """Return the lines of the table and, if it has several images, of one of them.

    Args:
        text: the whole of pyproject.toml, which is valid.
        image: "" if the table itself is the image.
    """
    lines = text.splitlines()
    return _without_secrets("\n".join(_own_lines(lines, locate(text), image)).strip("\n"))


def _own_lines(lines: list[str], places: dict[tuple[str | int, ...], int], image: str) -> Iterator[str]:
    """Yield the lines that begin a part of the table, and those that go on with one."""
    owners = {line: _is_own(place, image) for place, line in places.items()}
    is_own = False
    waiting: list[str] = []  # blank lines and comments, which may be about what comes next
    for number, line in enumerate(lines, 1):
        if number not in owners and (not line.strip() or line.lstrip().startswith("#")):
            waiting.append(line)
            continue
        was_own, is_own = is_own, owners.get(number, is_own)
        if is_own:
            # Of the comments after another table, those right above are about this one.
            blank = max((index for index, each in enumerate(waiting) if not each.strip()), default=-1)
            yield from waiting if was_own else waiting[blank + 1 :]
            yield line
        waiting = []


def _is_own(place: tuple[str | int, ...], image: str) -> bool:
    if place[:2] != _TABLE:
        return False
    return place[:3] != _IMAGES or len(place) <= len(_IMAGES) or place[3] == image


def _without_secrets(text: str) -> str:
    text = _ASSIGNED.sub(_hidden, text)
    return "\n".join(map(hide_secrets, text.split("\n")))


def _hidden(match: re.Match[str]) -> str:
    name = match["name"].strip("\"'").rpartition(".")[2]
    return f'{match["name"]}{match["sign"]}"***"' if is_secret_key(name) else match[0]
