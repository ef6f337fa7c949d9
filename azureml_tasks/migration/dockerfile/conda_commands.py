"""What a command of conda does to an image, in terms of the key `conda`.

Options: https://docs.conda.io/projects/conda/en/stable/commands/env/create.html and …/env/update.html.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAMS = ("conda", "mamba")
_LEAVE_NOTHING = ("clean", "info", "list", "search", "--version", "-V")
_FLAGS = frozenset(
    {"-q", "--quiet", "-v", "-vv", "--verbose", "-y", "--yes", "--json", "--solver", "--force"}
)


class CondaEnvironment(NamedTuple):
    """`conda env create` or `conda env update` by a file.

    Args:
        file: as it is written.
        environment: its name or path; "" for the one that the file names.
        creates: whether it is made, not extended.
        options: further ones, as they are written.
    """

    file: str
    environment: str
    creates: bool
    options: tuple[str, ...] = ()


def conda_command(words: Sequence[str]) -> CondaEnvironment | str | None:
    """Return what a command of conda does: an environment by a file, why it leaves nothing, or None for anything else.

    Args:
        words: of a command, the program first.
    """
    if posixpath.basename(words[0]) not in _PROGRAMS or len(words) == 1:
        return None
    if words[1] in _LEAVE_NOTHING:
        return f"conda {words[1]} adds nothing to the image"
    if words[1] != "env" or words[2:3] not in (("create",), ["create"], ("update",), ["update"]):
        return None
    file, environment, options, at = "", "", [], 3
    while at < len(words):
        name, sign, value = words[at].partition("=") if words[at].startswith("--") else (words[at], "", "")
        at += 1
        takes = name in ("-f", "--file", "-n", "--name", "-p", "--prefix", "--solver")
        if takes and not sign and at < len(words):
            value, at = words[at], at + 1
        if name in ("-f", "--file"):
            file = value
        elif name in ("-n", "--name", "-p", "--prefix"):
            environment = value
        elif name not in _FLAGS:
            options.append(name)
    if not file:
        return None
    return CondaEnvironment(
        file=file, environment=environment, creates=words[2] == "create", options=tuple(options)
    )
