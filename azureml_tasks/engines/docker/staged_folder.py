"""A build context laid out as a folder: what is large gets to BuildKit in half the time, and while other steps run.

The files are copies, since each has the one time that an archive gives it: the same input makes the same layers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import blocks
from azureml_tasks.context.tar_archive import TIME, mode_of

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.context.context_file import ContextFile

__all__ = ["stage"]


def stage(context: BuildContext, folder: Path) -> None:
    """Write every member of *context* into *folder*, which is empty.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    for file in context.members:
        _write(file, folder / file.name)
    for path in (folder, *(folder / file.name for file in context.members)):
        os.utime(path, (TIME, TIME), follow_symlinks=False)


def _write(file: ContextFile, path: Path) -> None:
    if file.name.endswith("/"):
        path.mkdir(parents=True, exist_ok=True)
    elif file.link:
        path.symlink_to(file.link)
        return
    else:
        with path.open("wb") as stream:
            for block in blocks(file):
                stream.write(block)
    path.chmod(mode_of(file))
