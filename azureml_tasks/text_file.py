"""Read a small file of the project safely, also if a FIFO, a device or no text is in its place."""

from __future__ import annotations

import codecs
import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_TEXT = 10_000_000
"""Bytes of a text file: a lock file of a thousand packages with all their hashes has a tenth of them."""
# The mark of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_SAVE = "Save it as UTF-8."


class UnreadableFile(Exception):
    """A file that cannot be read, or is no text.

    Args:
        why: the reason, to follow the file's name ("is not a file").
        fix: the next step.
    """

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why)
        self.why, self.fix = why, fix


def read_bytes(path: Path, largest: int) -> bytes:
    """Return the content of a file.

    Args:
        path: of the file.
        largest: bytes that it may have.

    Raises:
        FileNotFoundError: it does not exist.
        UnreadableFile: it is no file, is larger, or cannot be read by this user.
    """
    try:
        # Without this flag a FIFO is opened only when another program writes into it. Windows has neither.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123 -- opened above
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableFile("is not a file", "Remove it, or put a file in its place.")
            content = file.read(largest + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(str(path)) from error
    except ValueError as error:  # a NUL character in its name
        raise FileNotFoundError(str(path)) from error
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}") from error
    if len(content) > largest:
        raise UnreadableFile(f"is larger than {largest / 1e6:,.0f} MB", "Make it smaller.")
    return content


def decode(data: bytes, *, coding_lines: bool = False) -> str:
    """Return the text of a file: by its byte order mark, which is skipped, else as UTF-8. Line ends stay as they are.

    Args:
        data: the whole file.
        coding_lines: whether `# -*- coding: X -*-` in the first two lines names the encoding, as for pip
            (pip/_internal/req/req_file.py, `_decode_req_file`).

    Raises:
        UnreadableFile: it is no text in that encoding.
    """
    mark, encoding = next(
        ((mark, name) for mark, name in _MARKS.items() if data.startswith(mark)), (b"", "utf-8")
    )
    if coding_lines and not mark:
        encoding = next(_named_encodings(data), encoding)
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start + len(mark)) + 1
        raise UnreadableFile(
            f"is not {error.encoding.upper()} in line {line}: {error.reason}", _SAVE
        ) from error
    except (LookupError, ValueError) as error:
        why = f'names the encoding "{encoding}", which Python does not know'
        raise UnreadableFile(why, _SAVE) from error


def read_text(path: Path, *, coding_lines: bool = False, largest: int = LARGEST_TEXT) -> str:
    """Return the text of a file of at most *largest* bytes; see `read_bytes` and `decode`."""
    return decode(read_bytes(path, largest), coding_lines=coding_lines)


def _named_encodings(data: bytes) -> Iterator[str]:
    for line in data.split(b"\n", 2)[:2]:
        if line.startswith(b"#") and (named := _CODING.search(line)):
            yield named[1].decode("ascii", "replace")
