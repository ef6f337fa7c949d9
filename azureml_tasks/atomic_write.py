"""Write a file completely or not at all."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = ".unfinished"
"""How the name of a file ends that is not complete yet."""
_LONGEST = 3600.0
"""Seconds after which such a file is that of a process that was killed."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write *content* to *path*, a text in UTF-8; if that fails, the file stays as it was.

    What killed processes left in its folder is removed.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    remove_unfinished(path.parent, f"*{UNFINISHED}")


def remove_unfinished(folder: Path, pattern: str) -> None:
    """Remove what killed processes left in *folder* with a name like *pattern*; it only tidies up."""
    with suppress(OSError):
        for other in folder.glob(pattern):
            if time.time() - other.lstat().st_mtime > _LONGEST:
                other.unlink()
