"""Warnings as values: their codes, and how they are printed."""

from __future__ import annotations

import ast
from pathlib import Path

import azureml_tasks
from azureml_tasks.notice import CODES, Notice
from tests.cases import lay_out
from tests.consumers import project

BY_BASE = {"base-outdated", "base-unknown"}
"""Codes that `base_images` hands on by a variable."""
PACKAGE = Path(azureml_tasks.__file__).parent


def used_codes() -> set[object]:
    """Return the first argument of every `Notice(...)` in the package."""
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    trees = [ast.parse(text) for text in texts if "Notice" in text]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    notices = [call for call in calls if ast.unparse(call.func) in {"Notice", "Notice.of_key"}]
    codes = {call.args[0].value for call in notices if isinstance(call.args[0], ast.Constant)}
    return codes | BY_BASE


def test_every_code_is_listed_and_every_listed_code_is_used() -> None:
    """A program can rely on the list."""
    assert set(CODES) == used_codes()


def test_the_list_is_sorted() -> None:
    """So is the table of the page."""
    assert sorted(CODES) == list(CODES)


def test_a_notice_is_printed_with_its_place_and_its_fix() -> None:
    """As an error is: file and line before it, the next step indented below it."""
    assert "a/b.yml:3: is old\n    Write:\n    b" == str(
        Notice("variable", "is old", "a/b.yml", 3, "Write:\nb")
    )
    assert "a/b.yml: is old" == str(Notice("variable", "is old", "a/b.yml"))
    assert "is old" == str(Notice("variable", "is old"))
    assert "env.A is old" == str(Notice.of_key("variable", "env.A is old", "pyproject.toml", 3))


def test_a_warning_about_a_key_has_its_line(tmp_path: Path) -> None:
    """What names the key is printed as it is; CI systems and programs get file and line beside it."""
    table = 'apt = ["curl", "python3-numpy"]\n\n[tool.azureml-image.env]\nA = "1"\nAPI_KEY = "x"\n'
    text = project("demo", table).replace("minimal-py312-inference", "minimal-ubuntu18.04-py37-cpu-inference")
    lay_out({"pyproject.toml": text}, tmp_path)

    warnings = azureml_tasks.plan(azureml_tasks.load(tmp_path)).warnings
    places = {each.code: (each.file, each.line) for each in warnings}

    assert ("pyproject.toml", 6) == places["base-outdated"]
    assert ("pyproject.toml", 7) == places["system-package"]
    assert ("pyproject.toml", 11) == places["secret-readable"]
    assert [] == [each for each in warnings if str(each).startswith("pyproject.toml")]
