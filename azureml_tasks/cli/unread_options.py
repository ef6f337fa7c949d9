"""Options in files that Invoke reads, and the program `azureml-image` does not.

The program may be run in a project that nobody has looked at yet. `tasks.py` is code, and Invoke's configuration can
name code (https://docs.pyinvoke.org/en/stable/concepts/configuration.html), so it reads neither.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.notice import Notice
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from azureml_tasks.cli.options import TaskRun

_FILES = ("tasks.py", "invoke.yaml", "invoke.yml", "invoke.json", "invoke.py")
_USERS = tuple(f".{name}" for name in _FILES[1:])
_SETS_OPTIONS = re.compile(rb"\bazureml_image\b|\bcollection\(")
"""The key of Invoke's configuration, or a call of `azureml_tasks.collection`."""
_LARGEST = 1_000_000
"""Bytes of a file that is looked at."""


def warn_of_unread_options(run: TaskRun, program: str) -> None:
    """Warn of each file that would set options of *run* for Invoke, of which *program* reads none."""
    folders = dict.fromkeys([Path.cwd(), run.context.folder])
    files = [*(folder / name for folder in folders for name in _FILES), *_files_of_user()]
    for file in files:
        if _sets_options(file):
            what = (
                f"{_name(file)} sets options, which {program} does not read: "
                "give them as flags or variables, or run the tasks with invoke"
            )
            run.console.warn(Notice("options-unread", what))


def _files_of_user() -> list[Path]:
    try:
        return [Path.home() / name for name in _USERS]
    except RuntimeError:  # The user has no home folder.
        return []


def _sets_options(file: Path) -> bool:
    try:
        return bool(_SETS_OPTIONS.search(read_bytes(file, _LARGEST)))
    except (OSError, UnreadableFile):
        return False


def _name(file: Path) -> str:
    return file.name if file.parent == Path.cwd() else str(file)
