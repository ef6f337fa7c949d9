"""The build context as a gzip-compressed tar archive; the same files give the same bytes.

Large files that do not compress, such as the weights of a model, are stored without compression: compressing them
takes a minute for each gigabyte and saves nothing. A gzip file may consist of several members that follow one another
(https://www.rfc-editor.org/rfc/rfc1952#page-5), so each large file gets its own member.
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

_SAMPLE = 64 * 1024
"""Bytes from the start of a large file that are compressed to decide."""
_WORTH_IT = 0.9
"""Compress if the sample shrinks to less than this share."""
_SMALL = 256 * 1024
"""Files up to this size are compressed together."""
_GZIP = 16 + zlib.MAX_WBITS
_FAST, _STORED = 1, 0


def gzip_archive(files: Iterable[ContextFile]) -> Iterator[bytes]:
    """Yield the compressed archive of *files* in blocks.

    Raises:
        BuildError: a file changed or disappeared after its size was read.
    """
    small: list[ContextFile] = []
    for file in files:
        if file.size <= _SMALL:
            small.append(file)
            continue
        yield from _gzip_member(_tar_members(small), _FAST)
        small = []
        yield from _large_file(file)
    yield from _gzip_member(chain(_tar_members(small), [end_of_archive()]), _FAST)


def _tar_members(files: Iterable[ContextFile]) -> Iterator[bytes]:
    for file in files:
        yield from member(file)


def _large_file(file: ContextFile) -> Iterator[bytes]:
    blocks = member(file)
    header, first = next(blocks), next(blocks)
    sample = first[:_SAMPLE]
    level = _FAST if len(zlib.compress(sample, _FAST)) < len(sample) * _WORTH_IT else _STORED
    yield from _gzip_member(chain([header, first], blocks), level)


def _gzip_member(blocks: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Yield one gzip member, whose header contains no time and no name; nothing if there are no blocks."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    empty = True
    for block in blocks:
        empty = False
        if compressed := compressor.compress(block):
            yield compressed
    if not empty:
        yield compressor.flush()


@dataclass
class BlockReader:
    """A readable file over blocks of any length; each byte is copied once."""

    blocks: Iterator[bytes]
    rest: memoryview = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Return the next *size* bytes, fewer at the end; all remaining bytes if *size* is negative."""
        parts: list[memoryview] = []
        missing = size if size >= 0 else sys.maxsize
        while missing:
            self.rest = self.rest or memoryview(next((block for block in self.blocks if block), b""))
            if not self.rest:
                break
            parts.append(self.rest[:missing])
            self.rest = self.rest[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)
