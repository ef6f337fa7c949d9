"""The line of each key, item and table of a TOML text, which tomli does not tell.

The text must be one that tomli accepts: it is not validated here.
"""

from __future__ import annotations

import re
from bisect import bisect_left

import tomli

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[\w-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
# A string of several lines may end in up to two quotation marks before the three that close it.
_STRING = re.compile(
    r""""{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*\'""",
    re.DOTALL,
)
_OTHER_SCALAR = re.compile(r"[^,\]}#\n]+")


def locate(text: str) -> dict[Path, int]:
    """Return the 1-based line on which each part of a TOML document starts.

    The line of a table is that of its header, or that of the first key that names it. The line of a value is that of
    its key, and the line of an array's item that of its first character.

    Args:
        text: a whole TOML document that tomli accepts.
    """
    return _Scan(text).document()


class _Scan:
    """One pass over a text; `at` is the current position."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[Path, int] = {}
        self.tables_in: dict[Path, int] = {}  # the number of [[headers]] of each array of tables so far

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self.skip_blank():
            if self.text.startswith("[", self.at):
                table = self.header()
            else:
                self.entry(table)
        return self.lines

    def line(self) -> int:
        return bisect_left(self.ends, self.at) + 1

    def skip_blank(self) -> bool:
        """Skip blanks and comments; return False at the end of the text."""
        self.at = self.take(_BLANK)
        return self.at < len(self.text)

    def take(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        return match.end() if match else self.at

    def next_is(self, mark: str) -> bool:
        """Skip blanks, and *mark* if it comes next; return whether it did."""
        self.skip_blank()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def key(self) -> list[str]:
        parts = [self.key_part()]
        while self.next_is("."):
            parts.append(self.key_part())
        return parts

    def key_part(self) -> str:
        self.skip_blank()
        start, self.at = self.at, self.take(_KEY_PART)
        part = self.text[start : self.at]
        return next(iter(tomli.loads(f"{part} = 0"))) if part[0] in "\"'" else part

    def header(self) -> Path:
        line = self.line()
        is_item = self.next_is("[[")
        self.at += not is_item
        *outer, last = self.key()
        self.at += 1 + is_item
        path: Path = ()
        for part in outer:
            path = self.table((*path, part), line)
        path = (*path, last)
        if is_item:
            self.tables_in[path] = self.tables_in.get(path, 0) + 1
            path = self.table(path, line)
        self.lines[path] = line
        return path

    def table(self, path: Path, line: int) -> Path:
        """Return the path of the table at *path*; of an array of tables, that of the last one so far."""
        self.lines.setdefault(path, line)
        return (*path, self.tables_in[path] - 1) if path in self.tables_in else path

    def entry(self, table: Path) -> None:
        line, path = self.line(), table
        for part in self.key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self.next_is("=")
        self.value(path)

    def value(self, path: Path) -> None:
        if self.next_is("["):
            self.items(path)
        elif self.next_is("{"):
            while not self.next_is("}"):
                self.entry(path)
                self.next_is(",")
        else:
            quoted = self.text[self.at] in "\"'"
            self.at = self.take(_STRING if quoted else _OTHER_SCALAR)

    def items(self, path: Path) -> None:
        count = 0
        while not self.next_is("]"):
            item = (*path, count)
            self.lines[item] = self.line()
            self.value(item)
            self.next_is(",")
            count += 1
