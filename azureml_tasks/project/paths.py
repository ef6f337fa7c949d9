"""The paths of a project: which of them exist, and which are excluded."""

from __future__ import annotations

import difflib
import itertools
import os
import posixpath
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.config.toml_messages import exclude_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.context.file_hashes import FileHashes
    from azureml_tasks.errors import Problem
    from azureml_tasks.project.ignore import IgnoreRules

_RELATIVE = "Paths are relative to the folder of pyproject.toml."
_OUTSIDE = "Paths may lead to anything below that folder."
_MOST_ENTRIES = 1_000
"""Entries of a folder that are compared with a name that is missing; in a larger folder none is."""
_ALIKE = 0.7
"""How much of two names must be the same, from 0 to 1."""


def kind_of(path: Path) -> str:
    """Return "file", "folder", or "file of a kind that cannot be copied"; "" if there is nothing that can be named so.

    A link counts as what it leads to. A name may be too long for any file, or hold a NUL character.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return "file" if stat.S_ISREG(mode) else "folder"
    return "file of a kind that cannot be copied"


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below *folder*, those of one folder sorted and before its folders; links to folders are left out.

    A loop: folders may be nested deeper than Python calls.
    """
    waiting = [folder]
    while waiting:
        entries = sorted(waiting.pop().iterdir())
        yield from (entry for entry in entries if entry.is_file())
        waiting += [entry for entry in reversed(entries) if entry.is_dir() and not entry.is_symlink()]


def leaves(root: Path, path: Path) -> bool:
    """Return whether *path* leads out of the project by a link: a message about its content would show it.

    Args:
        root: the project's folder, resolved.
        path: of a file that is read.
    """
    return not Path(os.path.realpath(path)).is_relative_to(root)  # `resolve` raises for a loop of links.


def path_in_root(value: str, folder: str) -> str:
    """Return a path of the table relative to the root; "" if it is outside.

    Args:
        value: relative to the folder of pyproject.toml.
        folder: of pyproject.toml, relative to the root.
    """
    path = posixpath.normpath(posixpath.join(folder, Path(value).as_posix()))
    return "" if path == ".." or path.startswith("../") else path


def relative(path: str, folder: str) -> str:
    """Return *path* as it is named from *folder*, both relative to the root with "/" between their parts."""
    return posixpath.relpath(f"/{path}", f"/{folder}")


@dataclass(frozen=True, kw_only=True)
class ProjectReader:
    """Reads the files that the table names, and reports what is wrong with them.

    The table and messages name files from the folder of pyproject.toml; all other paths are relative to the root.

    Args:
        root: the folder that all files must be in, resolved; the project's own unless `root` is set.
        folder: of pyproject.toml, relative to the root; "." for the root itself.
        settings: the table.
        problems: receives each problem.
        matcher: the ignore rules.
        hashes: return the contents of files that have not changed.
    """

    root: Path
    folder: str = "."
    settings: Settings
    problems: Problems
    matcher: IgnoreRules
    hashes: FileHashes

    def path(self, value: str) -> str:
        """Return the path *value* of the table relative to the root; "" if it is outside."""
        return path_in_root(value, self.folder)

    def name(self, path: str) -> str:
        """Return how messages and the table name *path*, which is relative to the root."""
        return relative(path, self.folder)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Report *problems* of files, whose paths are relative to the root."""
        self.problems.extend(each._replace(file=self.name(each.file)) for each in problems)

    def extend_named(self, place: Place, path: str, problems: Iterable[Problem]) -> None:
        """Report *problems* of the file *path*, which the key at *place* names: at that key if the whole file is wrong.

        Args:
            place: of the key.
            path: relative to the root, as are the paths of *problems*.
            problems: of the file, and of those that it includes.
        """
        for each in problems:
            if each.file == path and not each.line:
                self.problems.add(place, f"{self.name(path)} {each.what}", each.fix, code=each.code)
            else:
                self.extend([each])

    def check_path(self, place: Place, value: str, kind: str) -> str:
        """Return the path *value* relative to the root; "" if it is not a *kind* in it, which is reported.

        Args:
            place: of its key.
            value: as written; it begins with ".." only if `root` is set.
            kind: "file", "folder" or "file or folder".
        """
        key = f'{spell(place)} is "{value}"'
        inside = self.path(value)
        if not inside:
            if not self.problems.is_bad(place):
                self.problems.add(place, f"{key}, which is outside the folder of `root`", _OUTSIDE)
            return ""
        path = self.root / inside
        actual = kind_of(path)
        if not actual:
            near = self.neighbour(inside, kind)
            fix = f'Did you mean "{self.name(near)}"?' if near else _RELATIVE
            self.problems.add(place, f"{key}, which does not exist", fix)
        elif leaves(self.root, path):
            self.problems.add(place, f"{key}, a link that leaves the project", "Copy it into the project.")
        elif actual not in kind.split(" or "):
            self.problems.add(place, f"{key}, which is a {actual}, not a {kind}", f"Name a {kind}.")
        else:
            return inside
        return ""

    def neighbour(self, missing: str, kind: str) -> str:
        """Return the *kind* whose path is nearly *missing*, with another name or in another folder; "" if none is.

        Args:
            missing: a path relative to the root, as is the result.
            kind: "file", "folder" or "file or folder".
        """
        path = self.root / missing
        folder = path.parent
        if not kind_of(folder) and kind_of(folder.parent) == "folder":
            other = self.neighbour(folder.relative_to(self.root).as_posix(), "folder")
            inner = self.root / other / path.name
            is_meant = other and kind_of(inner) in kind.split(" or ") and not leaves(self.root, inner)
            return f"{other}/{path.name}" if is_meant else ""
        if kind_of(folder) != "folder" or leaves(self.root, folder):
            return ""
        try:
            with os.scandir(folder) as scan:
                names = [entry.name for entry in itertools.islice(scan, _MOST_ENTRIES + 1)]
        except PermissionError:
            return ""
        if len(names) > _MOST_ENTRIES:
            return ""
        alike = difflib.get_close_matches(path.name, sorted(filter(str.isprintable, names)), cutoff=_ALIKE)
        inside = (
            folder / name
            for name in alike
            if not leaves(self.root, folder / name) and kind_of(folder / name) in kind.split(" or ")
        )
        near = next(inside, None)
        return near.relative_to(self.root).as_posix() if near else ""

    def refuse_lfs_pointers(self, place: Place, paths: Sequence[str]) -> None:
        """Report files that Git LFS has and that were not pulled.

        Args:
            place: of the key that names them.
            paths: relative to the root, at least one.
        """
        name = self.name(paths[0])
        what = f"{name} is a Git LFS pointer, not the file itself"
        if len(paths) > 1:
            what = f"{name} and {len(paths) - 1:,} more are Git LFS pointers, not the files themselves"
        self.problems.add(place, what, "git lfs pull")

    def refuse_excluded(self, path: str, what: str) -> bool:
        """Report a pattern that excludes *path*, and return whether there is one.

        Args:
            path: a file that the image needs, relative to the root.
            what: what it is, such as "the entry script".
        """
        rule = self.matcher.excluding(path)
        if rule is None:
            return False
        pattern = f'the {"" if rule.line else "default "}pattern "{rule.pattern}"'
        fix = f"Remove the pattern, or write: {exclude_line(f'!{self.name(path)}')}"
        file, line = (rule.file, rule.line) if rule.line else (FILE, self.problems.line_of(()))
        self.problems.add_in_file(file, line, f"{pattern} removes {what}, {self.name(path)}", fix)
        return True
