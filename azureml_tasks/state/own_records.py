"""Whether the records of a project are this machine's own: what somebody else has written is not believed."""

from __future__ import annotations

import shlex
import stat
from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem
from azureml_tasks.project.git import tracks

if TYPE_CHECKING:
    from pathlib import Path


def foreign_records(folder: Path) -> Problem | None:
    """Return why the records in *folder*, if there are any, cannot be used; None if they can.

    Args:
        folder: the project's `.azureml-image`, or what takes its place.
    """
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return None
    name, words = folder.name, shlex.quote(str(folder))
    if stat.S_ISLNK(mode):
        what = "is a link; records stay in the folder itself, so that nothing else is written or removed"
        return Problem(name, 0, what, f"rm {words}")
    if not stat.S_ISDIR(mode):
        return Problem(name, 0, "is not a folder, and the records need its name", f"mv {words} {words}.old")
    if tracks(folder):
        what = "is tracked by git, but records say what this machine itself has built, tested and pushed"
        return Problem(name, 0, what, f"git rm -r --cached --quiet {words}\nrm -r {words}")
    return None
