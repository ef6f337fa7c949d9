"""Whether git tracks a folder: read from git's index, which needs no program and no configuration of the repository."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from azureml_tasks.process import MissingProgram, capture
from azureml_tasks.project.git import ENVIRONMENT

if TYPE_CHECKING:
    from pathlib import Path

_VERSIONS = (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3")
"""The beginning of an index whose names are whole; version 4 leaves out what a name shares with the one before it."""
_LONGEST = 0xFFF
"""A longer name counts as this long."""


def tracks(folder: Path) -> bool:
    """Return whether git tracks *folder* or anything in it; False if there is no repository around it.

    Upper and lower case count as the same, as they do in the file systems of macOS and Windows.
    https://git-scm.com/docs/index-format
    """
    found = _repository(folder.parent)
    if not found:
        return False
    work_tree, git_folder = found
    path = os.path.relpath(folder.parent.resolve() / folder.name, work_tree).replace(os.sep, "/")
    try:
        index = (git_folder / "index").read_bytes()
    except OSError:  # Nothing was added yet, or git itself cannot read it.
        return False
    if not index.startswith(_VERSIONS) or any(git_folder.glob("sharedindex.*")):
        return _git_lists(work_tree, git_folder, path)
    name, lower = os.fsencode(path).lower(), index.lower()
    start = lower.find(name)
    while start >= 0:
        if lower[start + len(name) : start + len(name) + 1] in {b"/", b"\0"} and _is_name(index, start):
            return True
        start = lower.find(name, start + 1)
    return False


def _repository(folder: Path) -> tuple[Path, Path] | None:
    """Return the work tree around *folder*, and git's folder for it: `.git`, or what the file `.git` names."""
    folder = folder.resolve()
    for work_tree in (folder, *folder.parents):
        place = work_tree / ".git"
        if (place / "HEAD").exists():
            return work_tree, place
        try:
            text = place.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue
        return work_tree, work_tree / text.removeprefix("gitdir:").strip()
    return None


def _is_name(index: bytes, start: int) -> bool:
    """Return whether the name of an entry begins at *start*: its length is in the flags, two bytes before.

    An entry of version 3 may have two more bytes between the flags and the name.
    """
    length = min(index.find(b"\0", start) - start, _LONGEST)
    flags = (index[start - 2 : start], index[start - 4 : start - 2])
    return any(int.from_bytes(each, "big") & _LONGEST == length for each in flags)


def _git_lists(work_tree: Path, git_folder: Path, path: str) -> bool:
    """Ask git, which reads every form of its index; False if it is not there or does not say."""
    git = ["git", f"--git-dir={git_folder}", f"--work-tree={work_tree}", "-c", "core.fsmonitor="]
    try:
        words = ["ls-files", "-z", "--", f":(top,icase,literal){path}"]
        done = capture([*git, *words], cwd=work_tree, env=ENVIRONMENT)
    except MissingProgram:
        return False
    return not done.code and bool(done.stdout)
