"""Pieces of texts in the languages that we read, to make random texts of."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["LINES", "NUMBER", "PATTERNS", "PYTHON", "YAML", "any_of"]

NUMBER = "1" * 5000
"""More digits than Python converts."""
PYTHON = st.sampled_from(
    ["def init(): ...\n", "def run(x):\n return x\n", "(", ")", "[", "]", "{", "}", "if a:\n ",
     "elif b:\n ", "else:\n ", "try:\n ", "except* E:\n ", "match a:\n case 1:\n  ", "init = ",
     "*a, run = ", "from x import *\n", "import init\n", "\n", "\t", " ", "'", '"""', "\\", "#",
     "# coding: latin-1\n", "# coding: x\n", "lambda: ", "-", "0x", "1_", "é", "\x0c", "\0", "\ufeff",
     "async ", "await ", "f'{", "}'", ":=", "...", "@", "global init\n", "del run\n", "'\\N{x}'",
     "\u2028", NUMBER]
)  # fmt: skip
PATTERNS = st.sampled_from(
    ["*", "**", "**/", "/", "?", "a", "b", ".", "..", "!", "#", "[", "]", "[a-b]", "[^a]", "[!a]",
     "[[:alpha:]]", "[[:x:]]", "\\", "\\d", "\\b", "\\A", "\\x41", "{", "}", "{2}", "{2,}", "{0,2000}",
     "|", "^", "$", "(", ")", "+", " ", "\t", "\n", "\r", "\u2028", "\x1c", "é", "\ufeff", "\0", "*" * 30]
)  # fmt: skip
LINES = st.sampled_from(
    ["numpy", "==", ">=", "1.0", "[a]", "; ", "python_version", " < ", "'3'", " and ", "(", ")", " @ ",
     "https://", "git+", "ssh://", "file:", "u:p@", "[", "]", "host", "/", "./w.whl", "..", "-r ", "-c ",
     "-e ", "-i ", "--hash=sha256:0", "--pre", "--x", "=", "--no-deps", "${A}", "#", " ", "\\\n", "\n",
     "\r", "\x0b", "\u2028", "\\", "'", '"', "\0", "é", "@", ":", ",", "*", NUMBER]
)  # fmt: skip

YAML = st.sampled_from(
    ["name: a\n", "dependencies:\n", "- ", "  - ", "numpy", "=1.2", "==", ">=1,<2", "|", "=py_0", "a::", "pip:\n",
     "    - ", "-r x\n", "python=3", "&a ", "*a", "<<: ", "!!python/x ", "!x ", "[", "]", "{", "}", ": ", ",", "? ",
     "---\n", "...\n", "#", "'", '"', "|\n", ">\n", "\t", " ", "\n", "\r", "\x85", "\u2028", "\x07", "\ufeff",
     "%YAML 1.1\n", '"\\ud800"', '"\\0"', "@", "`", "u:p@", "https://", "é", "~", "1", "variables:\n", "  A: b\n",
     "channels: ", NUMBER]
)  # fmt: skip


def any_of(pieces: st.SearchStrategy[str], most: int = 25, often: int = 3000) -> st.SearchStrategy[str]:
    """Return texts of up to *most* of *pieces*, of which some are repeated, up to *often*."""
    short = pieces.filter(lambda piece: piece != NUMBER)
    repeated = st.tuples(short, st.sampled_from([1, 1, 1, 2, 120, often])).map(lambda pair: pair[0] * pair[1])
    return st.lists(st.one_of(pieces, pieces, repeated), max_size=most).map("".join)
