"""Where this user's own state is: locks, and what all projects of the user share."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from azureml_tasks.errors import MachineError

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def user_folder() -> Path:
    """Return the folder for what all projects of a user share, such as `~/.local/state/azureml-tasks`.

    A user without a home folder, as in many containers, gets one below the folder for temporary files.

    Raises:
        MachineError: that one is another user's.
    """
    from platformdirs import user_state_path

    try:
        folder = user_state_path("azureml-tasks", appauthor=False)
    except RuntimeError:  # From platformdirs 4.11 on; before, the path begins with "~".
        return _without_home(Path(tempfile.gettempdir()))
    return folder if folder.is_absolute() else _without_home(Path(tempfile.gettempdir()))


def _without_home(parent: Path) -> Path:
    """Return a folder in *parent* that nobody else can have filled."""
    user = os.getuid()  # Windows always has a home folder.
    folder = parent / f"azureml-tasks-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or status.st_mode & _OTHERS_MAY_WRITE:
        what = f"There is no home folder, and {folder} is not a folder of this user alone."
        fix = "export XDG_STATE_HOME=FOLDER, which this user may write"
        raise MachineError(what, next_step=fix, state="Nothing was done.")
    return folder
