"""The hashes of files that have not changed since they were taken, as their stamps tell."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.atomic_write import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FileHashes", "Stamp", "settled", "stamp_of"]

_BLOCK = 1024 * 1024


class FileHashes:
    """The hashes that are known, by absolute path.

    Args:
        file: where they are kept between commands.
        known: path → stamp and SHA-256 in hexadecimal.
        now: nanoseconds since 1970, by the clock that stamps files.
    """

    def __init__(
        self,
        *,
        file: Path,
        known: dict[str, tuple[Stamp, str]] | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.file, self.now = file, now
        self.known = {} if known is None else known
        self._changed = False

    @classmethod
    def read(cls, file: Path, now: Callable[[], int] = time.time_ns) -> FileHashes:
        """What *file* holds; nothing where it is not there or is not ours: it is all found out again."""
        try:
            found = json.loads(file.read_bytes())
            known = {path: (_stamp_of(row), str(row[4])) for path, row in found["files"].items()}
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
            known = {}
        return cls(file=file, known=known, now=now)

    def of(self, path: str | Path, size: int) -> str | None:
        """The SHA-256 of the file at *path*, in hexadecimal; None where it changes or has not *size* bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        before = os.stat(path)  # noqa: PTH116 -- thousands of files; Path's own takes twice the time
        stamp = stamp_of(before)
        if before.st_size != size:
            return None
        kept = self.known.get(str(path))
        if kept and kept[0] == stamp:
            return kept[1]
        taken_at = self.now()
        found, after = _hashed(path)
        if stamp_of(after) != stamp:
            return None
        if settled(stamp, taken_at):
            self.known[str(path)] = (stamp, found)
            self._changed = True
        else:
            self._changed |= self.known.pop(str(path), None) is not None  # That of a file that is no more.
        return found

    def moved(self, path: str | Path) -> bool:
        """Whether the file at *path* may be another than its known hash is of."""
        kept = self.known.get(str(path))
        try:
            return not kept or kept[0] != stamp_of(os.stat(path))  # noqa: PTH116 -- of thousands of files
        except OSError:
            return True

    def keep(self) -> None:
        """Write them down for the next command, where its folder is there and anything is new."""
        if not self._changed or not self.file.parent.is_dir():
            return
        kept = (
            (path, row)
            for path, row in sorted(self.known.items())
            if os.path.exists(path)  # noqa: PTH110 -- of many files
        )
        rows = {path: [*stamp, found] for path, (stamp, found) in kept}
        write_atomically(self.file, json.dumps({"files": rows}))
        self._changed = False


def _stamp_of(row: list[Any]) -> Stamp:
    size, mtime, ctime, inode = map(int, row[:4])
    return size, mtime, ctime, inode


def _hashed(path: str | Path) -> tuple[str, os.stat_result]:
    total = hashlib.sha256()
    with Path(path).open("rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            total.update(block)
        return total.hexdigest(), os.fstat(stream.fileno())


Stamp = tuple[int, int, int, int]
"""Size in bytes, mtime and ctime in nanoseconds since 1970, inode."""

_SECOND = 10**9
_COARSE = 2 * _SECOND
"""FAT counts in steps of two seconds."""
_FINE = _SECOND // 20
"""Others stamp with the kernel's tick, 1 to 10 ms apart."""


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of what has *status*."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def settled(stamp: Stamp, now: int) -> bool:
    """Whether a change after *now*, nanoseconds since 1970, would give another stamp."""
    _, mtime, ctime, _ = stamp
    step = _FINE if mtime % _SECOND or ctime % _SECOND else _COARSE
    return max(mtime, ctime) < now - step
