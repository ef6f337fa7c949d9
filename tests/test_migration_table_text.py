"""The table as text: how its values are written, and what is added to a pyproject.toml that exists."""

from __future__ import annotations

from typing import Any

import pytest
import tomli

from azureml_tasks.errors import SettingsError
from azureml_tasks.migration.table.table_text import (
    addition,
    own_table,
    project_text,
    read_document,
    table_text,
)

TABLE = table_text({"base": "x"})
READS_WELL = r"""[tool.azureml-image]
base = "minimal-py312-inference"
tags = ["{git-sha}"]  # [project] has no version
apt = [
    "a-package-with-a-long-name-number-one",
    "a-package-with-a-long-name-number-two",
    "a-third-one",
]
pip = ["numpy==2.1.3", "joblib"]

[tool.azureml-image.env]
PLAIN = "1"
QUOTED = 'say "hi" \n'
BOTH = "it's \"hi\""
TAB = "a\tb"

[[tool.azureml-image.run]]
command = '''
set -e
echo 'a' "b" \
  c'''
after = "apt"

[[tool.azureml-image.run]]
command = "one line"

[tool.azureml-image.smoke-test]
request = "r.json"

[tool.azureml-image.smoke-test.env]
A = "1"
"""
READS_WELL_TABLE: dict[str, Any] = {
    "base": "minimal-py312-inference",
    "tags": ["{git-sha}"],
    "apt": [
        "a-package-with-a-long-name-number-one",
        "a-package-with-a-long-name-number-two",
        "a-third-one",
    ],
    "pip": ["numpy==2.1.3", "joblib"],
    "env": {"PLAIN": "1", "QUOTED": 'say "hi" \\n', "BOTH": 'it\'s "hi"', "TAB": "a\tb"},
    "run": [
        {"command": "set -e\necho 'a' \"b\" \\\n  c", "after": "apt"},
        {"command": "one line"},
    ],
    "smoke-test": {"request": "r.json", "env": {"A": "1"}},
}


def test_the_table_reads_well() -> None:
    """Each key has a line, a long array several; a text of several lines has them, without escapes if it can."""
    text = table_text(READS_WELL_TABLE, comments={"tags": "[project] has no version"})

    assert text == READS_WELL
    assert tomli.loads(text)["tool"]["azureml-image"] == READS_WELL_TABLE


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "'",
            "''",
            "'''",
            '"',
            '"""',
            "\\",
            "a\\",
            "'\\'",
            "\t",
            "\x7f",
            "\x01",
            "\r\n",
            "a\rb",
            "\u2028",
        ),
        *(
            "a\nb'",
            "a\nb''",
            "a\n'''b",
            "\na",
            "a\n",
            "\n",
            "a\n\\",
            'a\n"""b',
            "a\n\x00b",
            "é\n\U0001f600",
            "#",
            "=\n[",
        ),
        *("a" * 500, "\\u0041", "{}", "x\n" * 300),
    ],
)
def test_every_text_is_read_as_it_was(value: str) -> None:
    """Whatever a source holds, TOML gives it back."""
    table = {"env": {"A": value}, "pip": [value], "run": [{"command": value}], "user": value}

    assert tomli.loads(table_text(table))["tool"]["azureml-image"] == table


def test_the_table_of_an_image_has_its_name() -> None:
    """The tables around it need no header."""
    assert table_text({"base": "x", "env": {"A": "1"}}, "gpu") == (
        '[tool.azureml-image.images.gpu]\nbase = "x"\n\n[tool.azureml-image.images.gpu.env]\nA = "1"\n'
    )


def test_a_new_file_begins_with_the_project() -> None:
    """The name is quoted as TOML wants it."""
    assert project_text("a-b") == '[project]\nname = "a-b"\nversion = "0.1.0"\n\n'


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("", TABLE),
        ("\n\n", TABLE),
        ("# only a comment", f"\n\n{TABLE}"),
        ("[tool.ruff]\nx = 1\n", f"\n{TABLE}"),
        ("[tool.ruff]\nx = 1", f"\n\n{TABLE}"),
        ("[tool.ruff]\nx = 1\n\n", TABLE),
        ("[tool.ruff]\r\nx = 1\r\n", f"\n{TABLE}".replace("\n", "\r\n")),
        ("[tool.ruff]\r\nx = 1\r\n\r\n", TABLE.replace("\n", "\r\n")),
        ("[tool.ruff]\nx = '''\r\n'''\n", f"\n{TABLE}"),
        ("tool.ruff.x = 1\n", f"\n{TABLE}"),
        ("[tool]\nruff.x = 1\n[[tool.x.y]]\na = 1\n", f"\n{TABLE}"),
        ("[a]\nb = '''\n[tool.azureml-image]\n'''\n", f"\n{TABLE}"),
        ("[tool.azureml-image.images.cpu]\nbase = 'x'\n", ""),
    ],
)
def test_the_table_is_added_at_the_end(text: str, added: str) -> None:
    """What is there stays as it is; line ends are those of the file."""
    if not added:  # A table with images has its own header already, and another image is added below.
        added = f"\n{table_text({'base': 'y'}, 'gpu')}"
        assert addition(text, table_text({"base": "y"}, "gpu")) == added
    else:
        assert addition(text, TABLE) == added
    assert tomli.loads(text + added)["tool"]["azureml-image"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\ntool = { ruff = { x = 1 } }\n", 2),
        ("[[tool]]\nx = 1\n", 1),
        ("tool = 1\n", 1),
    ],
)
def test_a_tool_that_takes_no_table_is_refused(text: str, line: int) -> None:
    """TOML adds nothing to a table in one line."""
    with pytest.raises(SettingsError) as refused:
        addition(text, TABLE)

    assert str(refused.value) == (
        f"pyproject.toml:{line}: has `tool` as a value in one line or as an array, to which no table can be added\n"
        "    Write each of its tables under a header of its own, such as [tool.ruff].\n\n"
        "1 problem; nothing was done."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = \n", "is not valid TOML: Invalid value (column 5)"),
        ("[tool.azureml_image]\nx = 1\n", "[tool.azureml_image] is read by nothing"),
        (
            "[[tool.azureml-image]]\nx = 1\n",
            "[[tool.azureml-image]] is an array of tables, and this is a single table",
        ),
        ("x = " + "[" * 101 + "]" * 101 + "\n", "has tables or arrays that are nested more than 100 deep"),
    ],
)
def test_a_file_that_is_wrong_is_refused(text: str, message: str) -> None:
    """Nothing is added to what nobody can read, nor beside a table that is meant as ours."""
    with pytest.raises(SettingsError) as refused:
        read_document(text)

    assert message in [problem.what for problem in refused.value.problems]


def test_a_table_of_another_type_is_refused() -> None:
    """It cannot be compared."""
    with pytest.raises(SettingsError, match=r"has tool\.azureml-image, which is not a table"):
        own_table(read_document('tool.azureml-image = "x"\n'))

    assert own_table(read_document("[tool.x]\n")) is None
    assert own_table(read_document("tool = 1\n")) is None
    assert own_table(read_document("[tool.azureml-image]\n")) == {}
