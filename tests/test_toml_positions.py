"""The lines on which the parts of a TOML document start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.config.toml_positions import Path, locate

if TYPE_CHECKING:
    from collections.abc import Iterator


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each part of a parsed value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="an empty document"),
        pytest.param("# a = 1\n\n  # b", {}, id="comments alone"),
        pytest.param("a = 1\n\nb = 2 # c = 3", {("a",): 1, ("b",): 3}, id="keys"),
        pytest.param("a = 1\r\n\r\nb = 2\r\n", {("a",): 1, ("b",): 3}, id="Windows line ends"),
        pytest.param("a = 1979-05-27 07:32:00\nb = 2", {("a",): 1, ("b",): 2}, id="a date with a space"),
        pytest.param(
            "[a]\nb = 1\n[c.d]\n", {("a",): 1, ("a", "b"): 2, ("c",): 3, ("c", "d"): 3}, id="headers"
        ),
        pytest.param(
            "[a.b]\n\n[a]\nc = 1", {("a",): 3, ("a", "b"): 1, ("a", "c"): 4}, id="an outer table afterwards"
        ),
        pytest.param(
            "[ a . 'b.c' ] # ]\nd = 1",
            {("a",): 1, ("a", "b.c"): 1, ("a", "b.c", "d"): 2},
            id="a header with spaces",
        ),
        pytest.param(
            "a.b = 1\na . c = 2", {("a",): 1, ("a", "b"): 1, ("a", "c"): 2}, id="dotted keys share a table"
        ),
        pytest.param(
            '"a\\"]\\u00e9\\n" = 1\n\'b"\\\' = 2\n"" = 3',
            {('a"]é\n',): 1, ('b"\\',): 2, ("",): 3},
            id="quoted keys",
        ),
        pytest.param(
            'a = """\nb = 1\n\\"""\n""\\\\"""""\nc = 2',
            {("a",): 1, ("c",): 5},
            id="a string of several lines that ends in quotation marks",
        ),
        pytest.param(
            "a = '''\nb = 1\\''\n'''''\nc = ''\nd = \"\"\ne = \"\"\"\"\"\"\nf = 1",
            {("a",): 1, ("c",): 4, ("d",): 5, ("e",): 6, ("f",): 7},
            id="literal and empty strings",
        ),
        pytest.param(
            'a = [ # ]\n  "]", # "\n\n  [1,\n  2],\n]\nb = [ ]',
            {("a",): 1, ("a", 0): 2, ("a", 1): 4, ("a", 1, 0): 4, ("a", 1, 1): 5, ("b",): 7},
            id="an array of several lines",
        ),
        pytest.param(
            'a = {b.c = "}", "d" = [\n{e = 1}]}\nf = {}',
            {
                ("a",): 1,
                ("a", "b"): 1,
                ("a", "b", "c"): 1,
                ("a", "d"): 1,
                ("a", "d", 0): 2,
                ("a", "d", 0, "e"): 2,
                ("f",): 3,
            },
            id="inline tables",
        ),
        pytest.param(
            "[[a]]\n[[a.b]]\nc = 1\n[[a.b]]\n[[a]]\n[a.b.d]",
            {
                ("a",): 1,
                ("a", 0): 1,
                ("a", 0, "b"): 2,
                ("a", 0, "b", 0): 2,
                ("a", 0, "b", 0, "c"): 3,
                ("a", 0, "b", 1): 4,
                ("a", 1): 5,
                ("a", 1, "b"): 6,
                ("a", 1, "b", "d"): 6,
            },
            id="arrays of tables",
        ),
    ],
)
def test_each_part_has_its_line(text: str, expected: dict[Path, int]) -> None:
    """The lines are those of an editor, and the paths are those of the parsed document."""
    actual = locate(text)

    assert expected == actual
    assert set(paths(tomli.loads(text))) == set(actual)


KEYS = st.text("ab-_ .\"'\\#[]=é\n\t", max_size=3)
SCALARS = st.sampled_from(
    [
        "1",
        "-0.5e3",
        "true",
        "inf",
        "1979-05-27T07:32:00Z",
        "07:32:00",
        '""',
        '"a#]}\\"\\\\"',
        "'\"],\\'",
        '"""\n# a = 1\n""\\"""""',
        "'''\n[a]\n'' '''",
        '"""a\\\n  b""""',
    ]
)


class Document:
    """A text under construction, and the lines on which its parts start."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.text = ""
        self.lines: dict[Path, int] = {}

    def pick(self, *choices: str) -> str:
        """Choose one of several spellings."""
        return self.data.draw(st.sampled_from(choices))

    def note(self, path: Path) -> None:
        """Keep the line where something starts, unless an earlier line has named it."""
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def key(self, key: str) -> None:
        """Write one part of a key, bare or quoted in one of two ways."""
        escaped = "".join(c if c in " .#[]='-_ab" else f"\\u{ord(c):04x}" for c in key)
        literal = [] if set(key) & {"'", "\n"} else [f"'{key}'"]
        bare = [key] if key and set(key) <= set("ab-_") else []
        self.text += self.pick(f'"{escaped}"', *literal, *bare)

    def entries(self, table: dict[str, Any], path: Path) -> None:
        """Write the values of a table on lines of their own, tables in them as dotted keys."""
        for key, item in table.items():
            self.entry([key], item, (*path, key))

    def entry(self, keys: list[str], item: Any, path: Path) -> None:
        """Write one value, or all values of one table, whose keys from the last header on are given."""
        if isinstance(item, dict) and item and self.pick("dotted", "inline") == "dotted":
            for key, inner in item.items():
                self.entry([*keys, key], inner, (*path, key))
            return
        for length in range(len(keys)):
            self.note(path[: len(path) - length])
        for index, key in enumerate(keys):
            self.text += self.pick(".", " . ") if index else ""
            self.key(key)
        self.text += self.pick("=", " = ")
        self.value(item, path)
        self.text += self.pick("\n", " # [a]\n\n", "\r\n")

    def value(self, item: Any, path: Path) -> None:
        """Write a value in line."""
        if isinstance(item, list):
            self.array(item, path)
        elif isinstance(item, dict):
            self.inline(item, path)
        else:
            self.text += item

    def array(self, items: list[Any], path: Path) -> None:
        """Write an array over one line or several."""
        self.text += "["
        for index, item in enumerate(items):
            self.text += self.pick("", " ", "\n\t", " # ]\n")
            self.note((*path, index))
            self.value(item, (*path, index))
            self.text += self.pick("", "\n") + ("," if index < len(items) - 1 else self.pick("", ","))
        self.text += self.pick("]", "\n]")

    def inline(self, table: dict[str, Any], path: Path) -> None:
        """Write a table in braces."""
        self.text += self.pick("{", "{ ")
        for index, (key, item) in enumerate(table.items()):
            self.text += ", " if index else ""
            self.note((*path, key))
            self.key(key)
            self.text += self.pick("=", " = ")
            self.value(item, (*path, key))
        self.text += self.pick("}", " }")

    def header(self, brackets: str, path: Path) -> None:
        """Write a header, whose parts may have been named before."""
        for length in range(1, len(path)):
            self.note(path[:length])
        names = [part for part in path if isinstance(part, str)]
        self.text += brackets
        for index, name in enumerate(names):
            self.text += self.pick(".", " . ") if index else self.pick("", " ")
            self.key(name)
        self.text += brackets.replace("[", "]") + self.pick("\n", " # b = 1\n")

    def section(self, table: dict[str, Any], path: Path) -> None:
        """Write the tables and arrays of tables in a table under headers, everything else before them."""
        under = {key for key, item in table.items() if self.has_header(item)}
        self.entries({key: item for key, item in table.items() if key not in under}, path)
        for key in sorted(under):
            item, inner = table[key], (*path, key)
            if isinstance(item, dict):
                self.lines[inner] = self.text.count("\n") + 1
                self.header("[", inner)
                self.section(item, inner)
                continue
            for index, element in enumerate(item):
                self.note((*inner, index))
                self.header("[[", (*inner, index))
                self.section(element, (*inner, index))

    def has_header(self, item: Any) -> bool:
        """Choose for what can have a header whether it gets one."""
        tables = isinstance(item, list) and item and all(isinstance(element, dict) for element in item)
        return bool((tables or isinstance(item, dict)) and self.pick("header", "in line") == "header")


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(data=st.data(), table=st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_spelling_of_a_document_has_its_lines(data: st.DataObject, table: dict[str, Any]) -> None:
    """Paths and lines are right for every mix of headers, dotted keys and inline tables."""
    document = Document(data)
    document.section(table, ())

    expected = document.lines

    actual = locate(document.text)

    assert expected == actual
    assert set(paths(tomli.loads(document.text))) == set(actual)


def test_newlines_in_inline_tables_count() -> None:
    """If tomli reads TOML 1.1, whose inline tables may span lines, their keys have their own lines."""
    text = "a = { # {\n  b = 1,\n\n  c = 2,\n}\n"
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError:
        pytest.skip("this tomli reads TOML 1.0 alone")  # Older ones, which we allow too, refuse such lines.

    expected: dict[Path, int] = {("a",): 1, ("a", "b"): 2, ("a", "c"): 4}

    actual = locate(text)

    assert expected == actual
    assert set(paths(document)) == set(actual)
