"""What reading a project has looked at, so that a later command can tell whether it would find the same."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks.stamps import Stamp, settled, stamp_of
from azureml_tasks.unchanged import content, entries, leads, listing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azureml_tasks.file_hashes import FileHashes

__all__ = ["Witness", "nothing_seen"]

_UNSETTLED: Stamp = (0, 0, 0, 0)


@dataclass(kw_only=True)
class Witness:
    """Notes what is looked at, each time before it is read: what changes right after is seen as a change.

    Args:
        hashes: of files that have not changed.
        files: path → SHA-256 of the content, None where there was no file.
        folders: path → stamp, and a hash over names and kinds of what it held.
        links: path → what it said, where it led to, and what was there.
        now: nanoseconds since 1970, by the clock that stamps files.
    """

    hashes: FileHashes
    files: dict[str, str | None] = field(default_factory=dict)
    folders: dict[str, tuple[Stamp, str]] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    now: Callable[[], int] = time.time_ns

    def file(self, path: Path) -> None:
        """Note a file whose content decides, whether it is there or not."""
        self.files.setdefault(str(path), content(str(path), self.hashes))

    def folder(self, path: Path) -> list[os.DirEntry[str]]:
        """Note a folder; what it holds, sorted by name."""
        stamp = stamp_of(os.stat(path))  # noqa: PTH116 -- of many folders
        held = entries(str(path))
        known = stamp if settled(stamp, self.now()) else _UNSETTLED
        self.folders[str(path)] = (known, listing(held))
        return held

    def link(self, path: Path) -> None:
        """Note what a link says and where it leads to, or that it is none."""
        self.links[str(path)] = leads(str(path))

    def text(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        folders = {path: [*stamp, listing] for path, (stamp, listing) in self.folders.items()}
        return {"files": self.files, "folders": folders, "links": self.links}


def nothing_seen() -> Witness:
    """A witness whose notes nobody keeps."""
    from pathlib import Path

    from azureml_tasks.file_hashes import FileHashes

    return Witness(hashes=FileHashes(file=Path(os.devnull)))
