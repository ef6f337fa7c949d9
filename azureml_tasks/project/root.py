"""The root of a project: the folder that all of its files must be in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, Override, spell
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.plain_text import shell_join
from azureml_tasks.project import git

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Problems
    from azureml_tasks.config.settings import Settings

_PLACE = ("root",)


def given_root(folder: Path, given: Override) -> Override:
    """Return the folder that a run names as the table would write it.

    Args:
        folder: of pyproject.toml, resolved.
        given: the absolute path, and the flag or variable that names it.

    Raises:
        SettingsError: it is not above *folder*.
    """
    root = Path(given.value).resolve()
    if not folder.is_relative_to(root):
        what = f'is "{given.value}", which is not a folder above {folder}'
        raise SettingsError([Problem(given.source, 0, what, f"Name a folder that {FILE} is in.")])
    return Override(value="/".join([".."] * len(folder.relative_to(root).parts)) or ".", source=given.source)


def find_root(folder: Path, settings: Settings, problems: Problems) -> Path:
    """Return the root that the settings name, else *folder*.

    The author of a pull request writes the table. So its `root` counts only inside the repository that tracks the
    project: what is above it, or beside it in an archive that was unpacked, is not the author's to copy. The run itself
    may name any folder.

    Args:
        folder: of pyproject.toml, resolved.
        settings: the table, and what the run names in its place.
        problems: receives a problem; the root is then *folder*.
    """
    if not settings.root or problems.is_bad(_PLACE):
        return folder
    root = (folder / settings.root).resolve()
    if "root" not in problems.sources and (why := _refusal(folder, root)):
        what, *fixes = why
        fixes.append(f"To copy from there all the same, say so in each run: --root {_from_here(root)}")
        problems.add(_PLACE, f'{spell(_PLACE)} is "{settings.root}", {what}', "\n".join(fixes))
        return folder
    return root


def _refusal(folder: Path, root: Path) -> list[str]:
    """Return why the table may not name *root*, and what to do about it if there is something; empty if it may."""
    if root == folder:
        return []
    top = git.work_tree(folder)
    if not top:
        return ["and the project is in no git repository"]
    if not root.is_relative_to(top):
        return [f"which is outside the project's git repository, {top}"]
    if not git.tracks(folder / FILE):
        return [f"and git does not track {FILE}", f"git add {_from_here(folder / FILE)}"]
    return []


def _from_here(path: Path) -> str:
    return shell_join([os.path.relpath(path)])
