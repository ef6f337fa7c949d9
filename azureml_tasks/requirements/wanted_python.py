"""The Python that a file of the project is for, and whether the base's can be it."""

from __future__ import annotations

from typing import NamedTuple


class WantedPython(NamedTuple):
    """The Python that a conda file or a lock file wants.

    Args:
        file: that says so.
        line: of it.
        text: as written.
        version: a specifier (PEP 440).
    """

    file: str
    line: int
    text: str
    version: str


def accepts(wanted: WantedPython, version: tuple[int, int]) -> bool:
    """Return whether a Python of *version*, such as (3, 12), may be the one that is wanted."""
    from packaging.specifiers import SpecifierSet

    wish = SpecifierSet(wanted.version)
    return any(wish.contains(f"{version[0]}.{version[1]}.{patch}") for patch in range(100))
