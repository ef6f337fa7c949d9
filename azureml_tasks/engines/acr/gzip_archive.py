"""The build context as ACR takes it: one gzip stream, the same bytes for the same files.

A member whose beginning does not compress, as a model's weights, is stored: compressing it costs a minute a
gigabyte and saves nothing. Members of a gzip file follow one another (https://www.rfc-editor.org/rfc/rfc1952#page-5).
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from azureml_tasks.context.tar_archive import end_of_archive, member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azureml_tasks.context.context_file import ContextFile

__all__ = ["Stream", "packed"]

_LOOK = 64 * 1024
_PAYS = 0.9
"""What the beginning of a member must shrink to for compressing to be worth its time."""
_SMALL = 256 * 1024
"""Members up to this size share a compressed stream with their neighbours."""
_GZIP = 16 + zlib.MAX_WBITS
_QUICK, _STORED = 1, 0


def packed(files: Iterable[ContextFile]) -> Iterator[bytes]:
    """An archive of *files*, compressed where that pays; memory stays at a few blocks.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    small: list[ContextFile] = []
    for file in files:
        if file.size <= _SMALL:
            small.append(file)
            continue
        yield from _gzip(_members(small), _QUICK)
        small = []
        yield from _large(file)
    yield from _gzip(chain(_members(small), [end_of_archive()]), _QUICK)


def _members(files: Iterable[ContextFile]) -> Iterator[bytes]:
    for file in files:
        yield from member(file)


def _large(file: ContextFile) -> Iterator[bytes]:
    blocks = member(file)
    header, first = next(blocks), next(blocks)
    look = first[:_LOOK]
    level = _QUICK if len(zlib.compress(look, _QUICK)) < len(look) * _PAYS else _STORED

    def again() -> Iterator[bytes]:
        yield from (header, first)
        yield from blocks

    yield from _gzip(again(), level)


def _gzip(blocks: Iterable[bytes], level: int) -> Iterator[bytes]:
    """One member of a gzip file, whose header names neither a time nor a file."""
    engine = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    empty = True
    for block in blocks:
        empty = False
        if some := engine.compress(block):
            yield some
    if not empty:
        yield engine.flush()


@dataclass
class Stream:
    """Blocks of any length as the file that an uploader reads from, front to back; each byte is copied once."""

    blocks: Iterator[bytes]
    left: memoryview = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """The next *size* bytes, fewer at the end; all that are left where *size* is negative."""
        parts: list[memoryview] = []
        wanted = size if size >= 0 else sys.maxsize
        while wanted:
            self.left = self.left or memoryview(next((block for block in self.blocks if block), b""))
            if not self.left:
                break
            parts.append(self.left[:wanted])
            self.left = self.left[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)
