"""Writing to stdout and stderr in any encoding, also if they are closed, full, or nobody reads them any more."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO


def replace_closed_streams() -> None:
    """Replace stdout and stderr by the null device if they were closed before the program started.

    Python then has None in their place (https://docs.python.org/3/library/sys.html#sys.__stdout__).
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 -- until the end


def write(stream: TextIO, text: str) -> None:
    """Write *text* at once; a character that the encoding of *stream* lacks becomes an escape sequence.

    Raises:
        OSError: the stream cannot be written. What is written later is lost.
    """
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
        stream.flush()
    except OSError:
        discard(stream)
        raise


def write_bytes(blocks: Iterable[bytes]) -> None:
    """Write *blocks* to stdout as they are: the content of a file, which has an encoding of its own.

    Raises:
        OSError: stdout cannot be written.
    """
    try:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(blocks)
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
        raise


def discard(stream: TextIO) -> None:
    """Send what *stream* still holds, and what is written later, to the null device.

    Python flushes stdout and stderr as it ends, and ends with 120 if that fails.
    """
    with suppress(OSError, ValueError):  # A stream of a test has no file.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
