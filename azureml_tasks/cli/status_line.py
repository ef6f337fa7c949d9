"""One line of a terminal, on stderr, that is written again and again; a pipe and a dumb terminal have none."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress

from azureml_tasks.cli.streams import write

_CLEAR = "\r\x1b[K"


def exists() -> bool:
    """Return whether stderr is a terminal in which a line can be overwritten."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def show(text: str) -> None:
    """Write the line, cut at the width of the terminal; "" takes it away, so that other lines can follow."""
    width = shutil.get_terminal_size().columns - 1
    with suppress(OSError):
        write(sys.stderr, _CLEAR + (text if len(text) <= width else f"{text[: width - 3]}..."))
