"""Hash each file once: the hash of a file that has not changed since is read from a cache.

The same reading looks for a private key, for a pointer of Git LFS and for what our own commands write, so a file that
has not changed is not opened at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.context.lfs_pointer import is_pointer
from azureml_tasks.context.own_outputs import is_own_output
from azureml_tasks.context.secret_files import HEAD_SIZE, has_private_key
from azureml_tasks.text_file import UnreadableFile, read_bytes
from azureml_tasks.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BLOCK = 1024 * 1024
_LARGEST_CACHE = 256 * 1024 * 1024
"""Bytes: the cache of a million files has fewer."""
_KEY, _POINTER, _OUTPUT, _NEITHER = "private-key", "lfs-pointer", "own-output", "none"
_CONTENT = re.compile(rf"([0-9a-f]{{64}}) ({_KEY}|{_POINTER}|{_OUTPUT}|{_NEITHER})")
_SECOND = 10**9
_COARSE = 2 * _SECOND
"""FAT stores times in steps of two seconds."""
_FINE = _SECOND // 20
"""Other file systems take the time of the kernel's last tick, 1 to 10 ms apart."""


class FileContent(NamedTuple):
    """What reading a file has shown.

    Args:
        sha256: of the whole content, in hexadecimal; "" if only the beginning was read.
        has_private_key: see `has_private_key`.
        is_lfs_pointer: whether Git LFS has the file, and this is what it committed in its place.
        is_own_output: whether one of our commands wrote the file.
    """

    sha256: str
    has_private_key: bool
    is_lfs_pointer: bool = False
    is_own_output: bool = False


class FileHashes:
    """The content of files, as far as it is known.

    Args:
        file: the cache; it is not read here, see `read`.
        known: what the cache holds: absolute path → stamp, SHA-256 and verdict, see `_row`.
        now: returns nanoseconds since 1970, by the clock that stamps files.
        is_shared: whether the cache is for other images as well, whose files stay in it.
    """

    def __init__(
        self,
        *,
        file: Path,
        known: dict[str, str] | None = None,
        now: Callable[[], int] = time.time_ns,
        is_shared: bool = False,
    ) -> None:
        self.file, self.now, self.is_shared = file, now, is_shared
        self.known = known or {}
        self._used: dict[str, str] = {}

    @classmethod
    def read(
        cls, file: Path, now: Callable[[], int] = time.time_ns, *, is_shared: bool = False
    ) -> FileHashes:
        """Read the cache in *file*; one that is missing, damaged or of another version counts as empty."""
        try:
            cache = json.loads(read_bytes(file, _LARGEST_CACHE))
            rows = cache["files"].items() if cache["version"] == VERSION else ()
            known = {path: str(row) for path, row in rows}
        except (OSError, UnreadableFile, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            known = {}
        return cls(file=file, known=known, now=now, is_shared=is_shared)

    def sha256(self, path: str, size: int) -> str | None:
        """Return the SHA-256 of a file, in hexadecimal; None if its size is not *size*, or it is being changed.

        Raises:
            OSError: the file cannot be read.
        """
        status = os.stat(path)  # noqa: PTH116 -- thousands of files; Path's own takes twice the time
        content = self.content(path, status) if status.st_size == size else None
        return content.sha256 if content else None

    def content(self, path: str, status: os.stat_result) -> FileContent | None:
        """Return the content of the file at *path*, read if it has changed; None if it is being changed.

        Args:
            path: absolute, not a link.
            status: of the file, a moment ago.

        Raises:
            OSError: the file cannot be read.
        """
        stamp = stamp_of(status)
        row = self._known_row(path)
        if row.startswith(stamp) and (known := _content(row, len(stamp))):
            self._used[path] = row
            return known
        read_at = self.now()
        content, after = _read(path)
        if stamp_of(after) != stamp:
            return None
        if is_settled(status, read_at):
            self._used[path] = _row(stamp, content)
        return content

    def glance(self, path: str, status: os.stat_result) -> FileContent | None:
        """Do the same as `content`, but read only the beginning of a large file that has changed."""
        if status.st_size <= _BLOCK or self._known_row(path).startswith(stamp_of(status)):
            return self.content(path, status)
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 -- see `sha256`
            head = file.read(HEAD_SIZE)
            return FileContent(
                sha256="", has_private_key=has_private_key(head), is_own_output=is_own_output(head)
            )

    def may_have_changed(self, path: str) -> bool:
        """Return whether the file at *path* may have changed since this object returned its content."""
        try:
            return not self._used.get(path, "").startswith(stamp_of(os.stat(path)))  # noqa: PTH116 -- see `sha256`
        except OSError:
            return True

    def save(self) -> None:
        """Write what was used into the cache, unless it is there; without the cache's folder nothing is written.

        It only saves time, so a disk that is full or read-only ends nothing.
        """
        others = {path: row for path, row in self.known.items() if self.is_shared and os.path.lexists(path)}
        rows = {**others, **self._used}
        if rows == self.known or not self.file.parent.is_dir():
            return
        with suppress(OSError):
            write_atomically(self.file, json.dumps({"version": VERSION, "files": rows}))
            self.known = rows

    def _known_row(self, path: str) -> str:
        """Return what is known of the file at *path*, from this run or an earlier one; "" if nothing is."""
        return self._used.get(path) or self.known.get(path, "")


def stamp_of(status: os.stat_result) -> str:
    """Return what shows a change of a file without reading it: size, mtime, ctime and inode."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} "


def is_settled(status: os.stat_result, now: int) -> bool:
    """Return whether a change of the file after *now*, nanoseconds since 1970, would change its stamp."""
    mtime, ctime = status.st_mtime_ns, status.st_ctime_ns
    step = _FINE if mtime % _SECOND or ctime % _SECOND else _COARSE
    return max(mtime, ctime) < now - step


def _row(stamp: str, content: FileContent) -> str:
    """Return a row of the cache: one text is read and compared several times as fast as a list."""
    verdicts = {
        _KEY: content.has_private_key,
        _POINTER: content.is_lfs_pointer,
        _OUTPUT: content.is_own_output,
    }
    verdict = next((name for name, applies in verdicts.items() if applies), _NEITHER)
    return f"{stamp}{content.sha256} {verdict}"


def _content(row: str, start: int) -> FileContent | None:
    """Return what a row says after its stamp, from *start* on; None if it is damaged."""
    match = _CONTENT.fullmatch(row, start)
    if not match:
        return None
    return FileContent(match[1], match[2] == _KEY, match[2] == _POINTER, match[2] == _OUTPUT)


def _read(path: str) -> tuple[FileContent, os.stat_result]:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 -- see `FileHashes.sha256`
        block = file.read(_BLOCK)
        head = block[:HEAD_SIZE]
        verdicts = has_private_key(head), is_pointer(block), is_own_output(head)
        total = hashlib.sha256(block)
        while block := file.read(_BLOCK):
            total.update(block)
        return FileContent(total.hexdigest(), *verdicts), os.fstat(file.fileno())
