"""Whether the records of a project are this machine's own: what somebody else has written is not believed."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem
from azureml_tasks.plain_text import shell_join
from azureml_tasks.project.git import tracks

if TYPE_CHECKING:
    from pathlib import Path


def foreign_records(home: Path, image: str = "") -> Problem | None:
    """Return why the records of a project or of one of its images, if there are any, cannot be used; None if they can.

    Args:
        home: the project's `.azureml-image`, or what takes its place.
        image: whose records lie in the folder of this name; "" for those of the project itself.
    """
    if (problem := _not_a_folder(home, home.name)) or not home.is_dir():
        return problem
    if tracks(home):
        what = "is tracked by git, but records say what this machine itself has built, tested and pushed"
        words = shell_join([str(home)])
        return Problem(home.name, 0, what, f"git rm -r --cached --quiet {words}\nrm -r {words}")
    return _not_a_folder(home / image, f"{home.name}/{image}") if image else None


def _not_a_folder(path: Path, name: str) -> Problem | None:
    """Return the problem, if there is something at *path*, and it is no folder."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    words = shell_join([str(path)])
    if stat.S_ISLNK(mode):
        what = "is a link; records stay in the folder itself, so that nothing else is written or removed"
        return Problem(name, 0, what, f"rm {words}")
    if not stat.S_ISDIR(mode):
        return Problem(name, 0, "is not a folder, and the records need its name", f"mv {words} {words}.old")
    return None
