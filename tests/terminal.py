"""A program in a terminal of its own: what it writes there, and what a person sees of that."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Shown", "in_terminal", "screen_of"]

_PART = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<code>[A-Za-z])|(?P<text>.)", re.DOTALL)
_VARIABLES = ("NO_COLOR", "GITHUB_ACTIONS", "TF_BUILD", "COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE")


class Shown(NamedTuple):
    """What became of a program.

    Args:
        code: its exit code.
        raw: what it wrote to the terminal.
        screen: the lines that a person sees at the end, without times.
        out: what it wrote to stdout, if that was a pipe.
        is_restored: whether the terminal has the settings that it had before.
    """

    code: int
    raw: str
    screen: str
    out: str
    is_restored: bool


def in_terminal(
    script: str,
    folder: Path,
    *,
    columns: int = 60,
    environment: Mapping[str, str] = os.environ,
    meanwhile: Callable[[subprocess.Popen[bytes], str], bool] = lambda *_: False,
    close_stdout: bool = False,
) -> Shown:
    """Run *script*, a text of Python, in a terminal.

    Args:
        script: the program.
        folder: where it runs.
        columns: of the terminal.
        environment: variables; those that change what is shown are taken from here alone.
        meanwhile: gets the process and what it has written so far, until it returns true.
        close_stdout: let stdout be a pipe that nobody reads; otherwise it is the terminal, too.
    """
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    before = termios.tcgetattr(terminal)
    usual = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
    changes = {} if environment is os.environ else dict(environment)
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**usual, "TERM": "xterm", "PYTHONUTF8": "1", **changes},
        stdin=terminal,
        stdout=subprocess.PIPE if close_stdout else terminal,
        stderr=terminal,
        start_new_session=True,
    )
    if child.stdout:
        child.stdout.close()
    raw, is_over = b"", False
    attributes = termios.tcgetattr(terminal)
    os.close(terminal)
    while block := _read(controller):
        raw += block
        is_over = is_over or meanwhile(child, raw.decode(errors="replace"))
        attributes = termios.tcgetattr(controller)
    os.close(controller)
    text = raw.decode()
    return Shown(child.wait(), text, screen_of(text), "", attributes == before)


def _read(terminal: int) -> bytes:
    """Return what comes next; nothing once every end of the terminal is closed, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def screen_of(raw: str) -> str:
    """Return the lines that a wide terminal shows of *raw*, with N in place of times."""
    lines, row, column = [""], 0, 0
    for part in _PART.finditer(raw):
        text, code, number = part["text"], part["code"], part["number"]
        if text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = f"{lines[row]:<{column}}"[:column] + text + lines[row][column + 1 :]
            column += 1
        elif code == "A":
            row -= int(number or 1)
        elif code == "K":
            lines[row] = "" if number == "2" else lines[row][:column]
    shown = "\n".join(line.rstrip() for line in lines)
    return re.sub(r" +\d+\.\d s", " N s", shown).rstrip("\n")
