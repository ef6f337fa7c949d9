"""On which line of a TOML text each key, item and table starts, which tomli does not say.

The text must be one that tomli has accepted: nothing is checked here a second time.
"""

from __future__ import annotations

import re
from bisect import bisect_left

import tomli

__all__ = ["Path", "locate"]

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[\w-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
# Up to two quotation marks may stand right before the three that close a string of several lines.
_STRING = re.compile(
    r""""{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*\'""",
    re.DOTALL,
)
_OTHER_SCALAR = re.compile(r"[^,\]}#\n]+")


def locate(text: str) -> dict[Path, int]:
    """Find the line on which each part of a TOML document starts.

    Args:
        text: a whole TOML document that tomli reads.

    Returns:
        The 1-based line of each path: of its header for a table (a table without one has the line that
        first names it), of its own key for a value, of its first character for an item of an array.
    """
    return _Scan(text).document()


class _Scan:
    """One walk over a text; `at` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[Path, int] = {}
        self.tables_in: dict[Path, int] = {}  # how many [[headers]] an array of tables has had so far

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
        """Go to the next character that counts; False at the end of the text."""
        self.at = self.take(_BLANK)
        return self.at < len(self.text)

    def take(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        return found.end() if found else self.at

    def next_is(self, mark: str) -> bool:
        """Step over *mark*, and the blanks before it, if it comes next."""
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
            path = self.newest((*path, part), line)
        path = (*path, last)
        if is_item:
            self.tables_in[path] = self.tables_in.get(path, 0) + 1
            path = self.newest(path, line)
        self.lines[path] = line
        return path

    def newest(self, path: Path, line: int) -> Path:
        """Name a table on the way, in an array of tables the last one so far."""
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
