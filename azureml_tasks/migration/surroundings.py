"""The files around a project: where a path of a source leads. They are looked at, and never run."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.project.paths import kind_of

if TYPE_CHECKING:
    from pathlib import Path


class Located(NamedTuple):
    """Where a path leads.

    Args:
        name: relative to the project's folder with "/", as the table names it; it may begin with "../".
        kind: "file", "folder", "" if there is nothing, or "outside" if it leaves the root, also by a link.
    """

    name: str
    kind: str


class Surroundings(NamedTuple):
    """Folders that a source's paths may lead to.

    Args:
        folder: of the project, where pyproject.toml is or will be, resolved.
        root: the top folder of its git repository, or the folder that the run allows; else the same folder. Resolved.
    """

    folder: Path
    root: Path

    def locate(self, path: str, beside: str = "") -> Located:
        """Return where *path* leads.

        Args:
            path: as a source has it, with "/".
            beside: name of the source whose folder *path* is relative to; "" for the project's folder.
        """
        start = self.folder / posixpath.dirname(beside)
        target = start / path
        lexical = os.path.normpath(target)
        name = posixpath.relpath(str(lexical), str(self.folder))
        ends = (lexical, os.path.realpath(target)) if "\0" not in path else ()
        if not ends or not all(_is_below(end, self.root) for end in ends):
            return Located(name=name, kind="outside")
        return Located(name=name, kind=kind_of(target))


def _is_below(path: str, root: Path) -> bool:
    return os.path.commonpath([path, root]) == str(root)
