"""The files and packages of an image, as `in_image/list_contents.py` prints them.

An image can print anything in its place, so nothing of it is used before all of it has its form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 2**60
"""More bytes or seconds than any file has."""


class File(NamedTuple):
    """A file of an image: its path, its bytes, and when it was changed, in seconds since 1970."""

    path: str
    size: int
    changed: int


class Package(NamedTuple):
    """A Python package of an image: its licence is "" if it states none, its size that of its files in bytes."""

    name: str
    version: str
    licence: str
    size: int


class Listing(NamedTuple):
    """What a container of an image has printed.

    Args:
        text: its output; "" if nothing was run.
        problem: why there is no list; "" if there is one.
    """

    text: str
    problem: str = ""


class Contents(NamedTuple):
    """What is in an image.

    Args:
        files: the largest ones, the largest first.
        file_count: how many there are in all.
        size: bytes of all.
        packages: sorted by name; None if the image's Python cannot list them.
    """

    files: tuple[File, ...]
    file_count: int
    size: int
    packages: tuple[Package, ...] | None


def parse_contents(text: str) -> Contents:
    """Return what the last line of *text* says that is in an image.

    Raises:
        ValueError: it is not in the form that the script prints.
    """
    lines = text.strip().splitlines()
    try:
        value = json.loads(lines[-1]) if lines else None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 -- one class for all that is wrong with a text
    packages = value.get("packages")
    contents = Contents(
        files=tuple(File(*row) for row in _rows(value.get("files"), (str, int, int))),
        file_count=value.get("count", 0),
        size=value.get("bytes", 0),
        packages=None
        if packages is None
        else tuple(Package(*row) for row in _rows(packages, (str, str, str, int))),
    )
    if not _is(contents.file_count, int) or not _is(contents.size, int):
        raise ValueError("it does not count the files")
    return contents


def added_files(contents: Contents, base: Contents) -> tuple[File, ...]:
    """Return the files that are not those of the *base*, the largest first.

    Of a base with more files than are listed, only those count that its list would have.
    """
    listed = set(base.files)
    is_whole = base.file_count <= len(base.files)
    smallest = 0 if is_whole or not base.files else base.files[-1].size
    return tuple(file for file in contents.files if file not in listed and file.size >= smallest)


def _rows(value: Any, types: Sequence[type]) -> list[list[Any]]:
    if not isinstance(value, list) or not all(_is_row(row, types) for row in value):
        raise ValueError("its lists are of another form")
    return value


def _is_row(row: Any, types: Sequence[type]) -> bool:
    return isinstance(row, list) and len(row) == len(types) and all(map(_is, row, types))


def _is(value: Any, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST
    return isinstance(value, kind)
