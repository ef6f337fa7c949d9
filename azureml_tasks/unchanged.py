"""Whether what was looked at is still as it was."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any

from azureml_tasks.stamps import stamp_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.file_hashes import FileHashes

__all__ = ["content", "entries", "leads", "listing", "unchanged"]


def unchanged(seen: Mapping[str, Any], hashes: FileHashes) -> bool:
    """Whether all that `Witness.text` has noted is as it was."""
    return (
        all(_is_folder(path, row) for path, row in seen["folders"].items())
        and all(content(path, hashes) == sha256 for path, sha256 in seen["files"].items())
        and all(leads(path) == row for path, row in seen["links"].items())
    )


def _is_folder(path: str, row: list[Any]) -> bool:
    try:
        stamp = stamp_of(os.stat(path))  # noqa: PTH116 -- of many folders
        return list(stamp) == row[:4] or listing(entries(path)) == row[4]
    except OSError:
        return False


def content(path: str, hashes: FileHashes) -> str | None:
    """The SHA-256 of the file at *path*; None where there is none."""
    try:
        return hashes.of(path, os.stat(path).st_size)  # noqa: PTH116 -- Path's own takes twice the time
    except OSError:
        return None


def leads(path: str) -> list[str]:
    """What a link says, where it and those above it lead to, and what is there; a path may be no link at all."""
    try:
        said = os.readlink(path)  # noqa: PTH115 -- of many paths
    except OSError:
        said = ""
    return [said, os.path.realpath(path), _kind(path)]


def _kind(path: str) -> str:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 -- of many paths
    except OSError:
        return ""
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def entries(path: str) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted by name."""
    with os.scandir(path) as scan:
        return sorted(scan, key=lambda entry: entry.name)


def listing(held: list[os.DirEntry[str]]) -> str:
    """A hash over names and kinds of what a folder holds."""
    kinds = (
        (
            entry.name,
            entry.is_symlink(),
            entry.is_dir(follow_symlinks=False),
            entry.is_file(follow_symlinks=False),
        )
        for entry in held
    )
    return hashlib.sha256(repr(list(kinds)).encode()).hexdigest()
