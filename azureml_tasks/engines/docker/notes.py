"""What was found out about an engine and its images, noted in a file of the records; it saves time alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from azureml_tasks.atomic_write import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["read", "write"]


def read(file: Path) -> dict[str, Any]:
    """What *file* holds; empty where nothing was noted yet, or what is there is none of ours."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(file: Path, noted: Mapping[str, Any]) -> None:
    """Write *noted*, whole or not at all, where the folder is there: nothing is left where nothing was built yet."""
    if file.parent.is_dir():
        write_atomically(file, json.dumps(noted))
