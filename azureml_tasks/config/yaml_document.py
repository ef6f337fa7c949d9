"""The one reader of YAML: a text becomes plain values with their lines, or mistakes with file and line.

PyYAML composes nodes, of which only the values that JSON has too are made. No tag makes anything else, and nothing is
run. Bounds keep a small text from becoming a large value: how deep it is nested, and how often its anchors are used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import ReaderError

from azureml_tasks.errors import FileProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Place

LARGEST_YAML = 1_000_000
"""Bytes of a file. A conda file of a whole environment has a hundredth of them."""
DEEPEST = 50
"""Mappings and sequences inside each other."""
MOST_VALUES = 20_000
"""Values of a document, those that an alias repeats counted each time."""
_PREFIX = "tag:yaml.org,2002:"
_TEXT = {f"{_PREFIX}{name}" for name in ("str", "timestamp", "value", "merge")}
"""Tags whose scalars stay the text that is written; the last two are those of a plain `=` and `<<`."""
_OTHERS = {f"{_PREFIX}{name}" for name in ("null", "bool", "int", "float")}
_MERGE = f"{_PREFIX}merge"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_LONGEST_SHOWN = 100  # characters
_LONGEST_NUMBER = 1_000
"""Characters; for one of base 60, such as 1:30, Python has no bound."""
_CORRECT = "Correct this line. The rest of the file was not read."


class YamlDocument(NamedTuple):
    """A document.

    Args:
        value: a mapping with text as keys, a list, a text, a number, a boolean or None. A date stays text.
        lines: path of a value → the line where it begins, from 1: that of its key, or that of an item. The text of a
            block (`|`, `>`) begins in the line after its sign.
    """

    value: Any
    lines: Mapping[Place, int]


def parse(text: str, file: str) -> tuple[YamlDocument | None, list[Problem]]:
    """Read a YAML document.

    Args:
        text: the whole file, without a byte order mark.
        file: its path relative to the project, for messages.

    Returns:
        The document, which is None if its text cannot be read, and what is wrong. A value with a mistake is None.
    """
    reading = _Reading(file)
    try:
        node = _only_document(text)
        value = reading.value(node, ()) if node else None
    except _Refusal as refusal:
        return None, [FileProblem(file, refusal.line, refusal.what, refusal.fix)]
    except yaml.MarkedYAMLError as error:
        return None, [_syntax_problem(error, text, file)]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"has a character that YAML does not allow: U+{ord(text[error.position]):04X}"
        return None, [FileProblem(file, line, what, "Remove it, and save the file as UTF-8.")]
    return YamlDocument(value=value, lines=reading.lines), reading.problems


def _only_document(text: str) -> yaml.Node | None:
    """Return the root of the document; None if the text is empty."""
    nodes = yaml.compose_all(text, Loader=_Composer)
    first = next(nodes, None)
    if second := next(nodes, None):
        fix = 'Keep one document, without a line "---" after it.'
        raise _Refusal("holds several YAML documents", second.start_mark.line + 1, fix)
    return first


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    if mark and text[mark.index : mark.index + 1] == "\t":
        return FileProblem(
            file, line, "has a tab where YAML takes spaces only", "Replace the tab with spaces."
        )
    column = f" (column {mark.column + 1})" if mark else ""
    return FileProblem(file, line, f"is not valid YAML: {error.problem}{column}", _CORRECT)


class _Refusal(Exception):
    """The reason why a text is not read further, and its line."""

    def __init__(self, what: str, line: int, fix: str) -> None:
        super().__init__(what)
        self.what, self.line, self.fix = what, line, fix


class _Composer(yaml.SafeLoader):
    """PyYAML's composer with bounds: it calls itself for each level, and reads 1 MB of `a,a,a` for 10 s."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node with all that is in it."""
        if self.depth > DEEPEST:
            raise _too_deep(self.line + 1)
        self.nodes += 1
        if self.nodes > 2 * MOST_VALUES:  # At most every second node is a key.
            raise _too_many(self.line + 1)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _too_deep(line: int) -> _Refusal:
    return _Refusal(f"is nested more than {DEEPEST} deep", line, "Write it in another way. Nothing was read.")


def _too_many(line: int) -> _Refusal:
    what = f"has more than {MOST_VALUES:,} values, with those that its aliases repeat"
    return _Refusal(what, line, "Make it smaller. Nothing was read.")


class _Reading:
    """What is read of a document so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self.count = 0
        self.constructor = SafeConstructor()

    def value(self, node: yaml.Node, path: Place) -> Any:
        """Return the value of a node; None if it has a mistake, which is reported."""
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MOST_VALUES:
            raise _too_many(line)
        if len(path) > DEEPEST:  # An anchor may hold an alias of itself.
            raise _too_deep(line)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
            return self.sequence(node, path)
        if isinstance(node, yaml.ScalarNode) and node.tag in _TEXT | _OTHERS:
            return self.scalar(node)
        self.refuse_tag(node)
        return None

    def mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        """Return the values of a mapping by their keys."""
        values: dict[str, Any] = {}
        for key, inner in node.value:
            line, place = key.start_mark.line + 1, (*path, str(key.value))
            if not isinstance(key, yaml.ScalarNode):
                self.add(line, "has a mapping or a list as a key", "Write a word as the key.")
            elif key.tag == _MERGE:
                self.add(
                    line, 'has the merge key "<<", which is not read', "Write its keys and values out here."
                )
            elif key.tag not in _TEXT | _OTHERS:
                self.refuse_tag(key)
            elif _HALF_CHARACTER.search(key.value):
                self.add(line, "has half of a character as an escape", "Write the character.")
            elif key.value in values:
                first = self.lines[place]
                what = f'has the key "{key.value[:_LONGEST_SHOWN]}" twice, first in line {first}'
                self.add(line, what, "Keep one of the two.")
            else:
                self.lines[place] = line
                values[key.value] = self.value(inner, place)
        return values

    def sequence(self, node: yaml.SequenceNode, path: Place) -> list[Any]:
        """Return the items of a sequence."""
        for index, item in enumerate(node.value):
            is_block = isinstance(item, yaml.ScalarNode) and item.style in ("|", ">")
            place = (*path, index)
            self.lines[place] = item.start_mark.line + (2 if is_block else 1)
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def scalar(self, node: yaml.ScalarNode) -> Any:
        """Return a text, a number, a boolean or None."""
        if _HALF_CHARACTER.search(node.value):
            self.add(node.start_mark.line + 1, "has half of a character as an escape", "Write the character.")
            return None
        if node.tag in _TEXT:
            return node.value
        try:
            if len(node.value) > _LONGEST_NUMBER:
                raise ValueError  # noqa: TRY301 -- the same mistake
            return self.constructor.construct_object(node)
        except (ArithmeticError, LookupError, ValueError):  # an explicit tag on other text, or too large
            tag = node.tag.removeprefix(_PREFIX)
            self.add(
                node.start_mark.line + 1, f"has a value that is not of its type, {tag}", "Correct this value."
            )
            return None

    def refuse_tag(self, node: yaml.Node) -> None:
        """Report the tag of a node."""
        tag = f"!!{node.tag.removeprefix(_PREFIX)}" if node.tag.startswith(_PREFIX) else node.tag
        fix = "Remove the tag, and write a plain value."
        self.add(node.start_mark.line + 1, f'has the tag "{tag}", which is not read', fix)

    def add(self, line: int, what: str, fix: str) -> None:
        """Report a mistake."""
        self.problems.append(FileProblem(self.file, line, what, fix))
