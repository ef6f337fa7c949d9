"""One file of the records: written whole or not at all, and read with all that it must say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["read_record"]


def read_record(path: Path, needed: Iterable[str]) -> dict[str, Any] | None:
    """The table in the JSON file at *path*; None where there is no file.

    Args:
        path: the file, in the folder of records.
        needed: keys that it has at least.

    Raises:
        BuildError: it is no such table: another version of ours may have written it, or somebody's editor.
    """
    try:
        found: dict[str, Any] = dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise _unreadable(path, str(error)) from error
    if missing := [key for key in needed if key not in found]:
        raise _unreadable(path, f"it says nothing of {', '.join(missing)}")
    return found


def _unreadable(path: Path, why: str) -> BuildError:
    folder = path.parent.name
    what = f"{folder}/{path.name} is no record that can be read: {why}"
    return BuildError(what, next_step=f"rm -r {folder}\nthen: invoke image.build")
