"""YAML becomes plain values with their lines; anything else is a mistake with its line."""

from __future__ import annotations

from itertools import pairwise

import pytest

from azureml_tasks.config import yaml_document
from azureml_tasks.config.yaml_document import DEEPEST, MOST_VALUES, YamlDocument, parse
from azureml_tasks.errors import FileProblem, Problem

CORRECT = "Correct this line. The rest of the file was not read."


def mistakes(text: str) -> list[Problem]:
    """What is wrong with a text."""
    return parse(text, "a.yml")[1]


def mistake(line: int, message: str, fix: str) -> list[Problem]:
    """The one expected mistake."""
    return [FileProblem("a.yml", line, message, fix)]


def test_values_with_their_lines() -> None:
    """Mappings, lists, texts, numbers, booleans and nothing; dates stay text, and keys are text."""
    text = """\
# first
name: scoring
1: one
when: 2024-05-01
dependencies:
- numpy=1.26
- pip:
    - "joblib # not a comment"
    - |
      scipy
      pandas
numbers: [1, 0x10, 1.5, true, no, ~, '1']
"""
    value = {
        "name": "scoring",
        "1": "one",
        "when": "2024-05-01",
        "dependencies": ["numpy=1.26", {"pip": ["joblib # not a comment", "scipy\npandas\n"]}],
        "numbers": [1, 16, 1.5, True, False, None, "1"],
    }
    lines: dict[tuple[str | int, ...], int] = {
        ("name",): 2,
        ("1",): 3,
        ("when",): 4,
        ("dependencies",): 5,
        ("dependencies", 0): 6,
        ("dependencies", 1): 7,
        ("dependencies", 1, "pip"): 7,
        ("dependencies", 1, "pip", 0): 8,
        ("dependencies", 1, "pip", 1): 10,
        ("numbers",): 12,
    }
    lines |= {("numbers", index): 12 for index in range(7)}

    assert (YamlDocument(value=value, lines=lines), []) == parse(text, "a.yml")


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n"])
def test_an_empty_file_is_nothing(text: str) -> None:
    """There is a document, and it holds nothing."""
    assert (YamlDocument(value=None, lines={}), []) == parse(text, "a.yml")


def test_an_anchor_is_read_at_each_of_its_aliases() -> None:
    """A value may be written once and named again."""
    document, problems = parse("a: &x [1, 2]\nb: *x\n", "a.yml")

    assert ({"a": [1, 2], "b": [1, 2]}, []) == (document and document.value, problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", mistake(3, 'has the key "a" twice, first in line 1', "Keep one of the two.")),
        (
            "a: 1\nb: !!python/object/apply:os.system [ls]\n",
            mistake(
                2,
                'has the tag "!!python/object/apply:os.system", which is not read',
                "Remove the tag, and write a plain value.",
            ),
        ),
        (
            "- !secret x\n",
            mistake(1, 'has the tag "!secret", which is not read', "Remove the tag, and write a plain value."),
        ),
        (
            "!!set {a, b}\n",
            mistake(1, 'has the tag "!!set", which is not read', "Remove the tag, and write a plain value."),
        ),
        (
            "base: &x {a: 1}\nb:\n  <<: *x\n",
            mistake(
                3, 'has the merge key "<<", which is not read', "Write its keys and values out here."
            ),
        ),
        ("? [a]\n: 1\n", mistake(1, "has a mapping or a list as a key", "Write a word as the key.")),
        (
            "a: 1\nb:\n\t- c\n",
            mistake(3, "has a tab where YAML takes spaces only", "Replace the tab with spaces."),
        ),
        (
            "a: 1\n---\nb: 2\n",
            mistake(
                3, "holds several YAML documents", 'Keep one document, without a line "---" after it.'
            ),
        ),
        (
            "a: 1\nb: \x07\n",
            mistake(
                2,
                "has a character that YAML does not allow: U+0007",
                "Remove it, and save the file as UTF-8.",
            ),
        ),
        (
            "a: [1, 2\nb: 3\n",
            mistake(2, "is not valid YAML: expected ',' or ']', but got ':' (column 2)", CORRECT),
        ),
        ("a: *x\n", mistake(1, "is not valid YAML: found undefined alias 'x' (column 4)", CORRECT)),
        (
            "a: !!int x\n",
            mistake(1, "has a value that is not of its type, int", "Correct this value."),
        ),
        *(
            (f"a: {value}\n", mistake(1, f"has a value that is not of its type, {kind}", "Correct this value."))
            for kind, value in [
                ("bool", "!!bool x"),
                ("float", '!!float ""'),
                ("float", f"{'1:' * 400}1.0"),
                ("int", '!!int "-"'),
                ("int", f"{'1:' * 50_000}1"),
            ]
        ),
        (
            f"a: {'1' * 5000}\n",
            mistake(1, "has a value that is not of its type, int", "Correct this value."),
        ),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line(text: str, expected: list[Problem]) -> None:
    """Duplicate keys, tags, merge keys, tabs, several documents, control characters and syntax."""
    assert expected == mistakes(text)


def test_all_mistakes_of_values_are_reported() -> None:
    """Reading goes on after a value with a mistake."""
    lines = [problem.line for problem in mistakes("a: !x 1\nb: 1\nb: 2\nc: !y 3\n")]

    assert lines == [1, 3, 4]


@pytest.mark.parametrize(
    "text", ["[" * 60, "- " * 60 + "a", "[" * 5000, "? " * 200, "{a: " * 60 + "1" + "}" * 60]
)
def test_deep_nesting_is_refused(text: str) -> None:
    """Lists and mappings inside each other are read down to a depth, also if the text is cut off."""
    message = f"is nested more than {DEEPEST} deep"

    assert mistake(1, message, "Write it in another way. Nothing was read.") == mistakes(text)


def test_the_deepest_that_is_read() -> None:
    """One level more is refused."""
    text = "[" * DEEPEST + "1" + "]" * DEEPEST

    assert ([], 1) == (mistakes(text), len(mistakes(f"[{text}]")))


def test_an_anchor_that_holds_itself_is_refused() -> None:
    """It has no end."""
    message = f"is nested more than {DEEPEST} deep"

    assert mistake(1, message, "Write it in another way. Nothing was read.") == mistakes("&a [1, *a]\n")


def test_aliases_that_multiply_are_refused() -> None:
    """Nine lines would become a thousand million values."""
    names = "abcdefghi"
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise(names)
    )
    (problem,) = mistakes(text)

    assert f"has more than {MOST_VALUES:,} values, with those that its aliases repeat" == problem.what


def test_what_has_too_many_values_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read all of a large file takes seconds, and what follows the last value that is allowed does not count."""
    monkeypatch.setattr(yaml_document, "MOST_VALUES", 1000)
    (problem,) = mistakes("- a\n" * 2000 + "- [\n")

    assert "has more than 1,000 values, with those that its aliases repeat" == problem.what
