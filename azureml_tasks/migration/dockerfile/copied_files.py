"""What was copied into an image: a file or the content of a folder, and what lies beside it in the project."""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.migration.dockerfile.stage import Copied, Stage

_MOST_ENTRIES = 10_000
"""Entries of a folder that are looked at."""


def entries(stage: Stage, name: str) -> list[str] | None:
    """Return the names in a folder of the project; None if there are too many."""
    try:
        with os.scandir(stage.surroundings.folder / name) as scan:
            names = [entry.name for entry in itertools.islice(scan, _MOST_ENTRIES + 1)]
    except OSError:
        return None
    return names if len(names) <= _MOST_ENTRIES else None


def entries_below(stage: Stage, name: str) -> Iterator[str]:
    """Yield the paths of everything below a folder of the project, relative to it, as far as they are looked at."""
    top = str(stage.surroundings.folder / name)
    left = _MOST_ENTRIES
    for folder, folders, files in os.walk(top):
        for each in (*folders, *files):
            yield os.path.relpath(os.path.join(folder, each), top).replace(os.sep, "/")  # noqa: PTH118 -- as os.walk
        left -= len(folders) + len(files)
        if left < 0:
            return


def is_tree(each: Copied) -> bool:
    """Return whether the content of a folder is copied."""
    return each.source.kind == "folder"


def is_below(path: str, folder: str) -> bool:
    """Return whether *path* is *folder*, or something in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def more_than(folder: str) -> str:
    """Return the difference that a whole folder is copied in place of files in it."""
    return f"the whole folder {json.dumps(folder, ensure_ascii=False)} is copied, not these files alone"


def is_file(stage: Stage, name: str) -> bool:
    """Return whether there is such a file in the project."""
    return stage.surroundings.locate(name).kind == "file"
