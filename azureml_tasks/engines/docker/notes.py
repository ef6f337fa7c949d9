"""Notes about an engine and its images in the project's records; they only save time."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.state.record_forms import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read(file: Path) -> dict[str, Any]:
    """Return what *file* holds; empty if it does not exist or is damaged."""
    try:
        notes = read_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def write(file: Path, notes: Mapping[str, Any]) -> None:
    """Write *notes* if the folder exists; before the first build it does not, and nothing is left there.

    They only save time, so a disk that is full or read-only ends nothing.
    """
    if file.parent.is_dir():
        with suppress(OSError):
            write_atomically(file, json.dumps(notes))
