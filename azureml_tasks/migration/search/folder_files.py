"""List the files of a project's folder that a search looks at: bounded, and always in the same order."""

from __future__ import annotations

import os
import posixpath
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.migration.search_rules import default_rules, folder_rules

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.project.ignore import IgnoreRules

MOST_ENTRIES = 5_000
"""Files and folders that are looked at."""
_DEEPEST = 8
"""Folders inside each other."""
_OTHERS_CODE = frozenset({"node_modules", "site-packages", "mlruns", "wandb", "lightning_logs"})
MODEL_FOLDERS = frozenset({"model", "models"})
"""Names of folders that are searched also if git ignores them."""


class FolderFiles(NamedTuple):
    """Files below a folder.

    Args:
        names: relative to the folder with "/", those of each level before those of the next, sorted.
        kept_out: those of them that git ignores.
        is_cut: whether there are more than are looked at.
    """

    names: tuple[str, ...]
    kept_out: frozenset[str] = frozenset()
    is_cut: bool = False


def folder_files(folder: Path) -> FolderFiles:
    """Return the files below *folder*, without hidden ones, virtual environments and links."""
    listing = _Listing(folder)
    level = [""]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in listing.look_at(each)]
    return FolderFiles(tuple(listing.names), frozenset(listing.kept_out), listing.is_cut or bool(level))


class _Listing:
    """What is listed so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.always: IgnoreRules = default_rules()
        self.git: IgnoreRules = folder_rules(folder)
        self.names: list[str] = []
        self.kept_out: list[str] = []
        self.count = 0
        self.is_cut = False

    def look_at(self, path: str) -> list[str]:
        """List the files in a folder, and return the folders in it that are looked at next."""
        entries = self.entries(path)
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            return []  # A virtual environment, under any name.
        below: list[str] = []
        for entry in entries:
            name = posixpath.join(path, entry.name)
            if entry.is_dir(follow_symlinks=False):
                below += [name] if self.may_enter(name) else []
            elif entry.is_file(follow_symlinks=False) and self.always.decision(name)[1]:
                self.names.append(name)
                self.kept_out += [] if self.git.decision(name)[1] else [name]
        return below

    def entries(self, path: str) -> list[os.DirEntry[str]]:
        """Return what is in a folder, sorted: at most as much as may still be looked at."""
        left = MOST_ENTRIES - self.count
        try:
            with os.scandir(self.folder / path) as scan:
                entries = list(islice(scan, left + 1))
        except OSError:
            return []
        if len(entries) > left:
            self.is_cut = True
            return []  # A part of a folder would be another part on another machine.
        self.count += len(entries)
        return sorted((entry for entry in entries if entry.name.isprintable()), key=lambda entry: entry.name)

    def may_enter(self, path: str) -> bool:
        name = posixpath.basename(path)
        if name.startswith(".") or name in _OTHERS_CODE or not self.always.may_descend(path):
            return False
        return name in MODEL_FOLDERS or self.git.may_descend(path)
