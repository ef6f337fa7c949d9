"""`.amlignore`: git's rules, where there is no `.dockerignore`."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azureml_tasks
from azureml_tasks.errors import SettingsError
from azureml_tasks.project.git_ignore import GitRules, parse_git_ignore
from azureml_tasks.project.ignore import IllegalPattern
from tests.cases import lay_out
from tests.context_members import members, project_with, refusal
from tests.documentation import DOCS, blocks

if TYPE_CHECKING:
    from pathlib import Path


def kept(text: str, paths: list[str]) -> list[str]:
    """Return which of *paths* stay; that of a folder ends with a slash."""
    rules = GitRules(parse_git_ignore(text, ".amlignore", ""))
    return [path for path in paths if rules.decision(path)[1]]


@pytest.mark.parametrize(
    ("patterns", "paths", "stay"),
    [
        ("*.csv", ["a.csv", "d/a.csv", "a.py"], ["a.py"]),
        ("/*.csv", ["a.csv", "d/a.csv"], ["d/a.csv"]),
        ("build/", ["build", "build/", "build/a", "d/build/a"], ["build"]),
        ("d/e", ["d/e", "x/d/e"], ["x/d/e"]),
        ("**/e", ["e", "d/e", "d/e/f"], []),
        ("d/**", ["d/a", "e/d/a"], ["e/d/a"]),
        ("*.csv\n!keep.csv", ["a.csv", "keep.csv"], ["keep.csv"]),
        ("data/\n!data/keep.csv", ["data/a.csv", "data/keep.csv"], ["data/keep.csv"]),
        ("*\n!*/\n!*.py", ["a.txt", "a.py", "d/a.txt", "d/a.py"], ["a.py", "d/a.py"]),
        ("#a\n\\#b\n", ["#a", "#b"], ["#a"]),
        ("a\\ \nb  ", ["a ", "a", "b"], ["a"]),
        ("[ab].py\nx?z", ["a.py", "c.py", "xyz", "x/z"], ["c.py", "x/z"]),
        ("\ufeffa\r\nb\r\n", ["a", "b", "c"], ["c"]),
        ("a\u2028b\n*.x\x0cy", ["a", "b", "a\u2028b", "k.x", "y", "k.x\x0cy"], ["a", "b", "k.x", "y"]),
    ],
)
def test_patterns_exclude_what_git_ignores(patterns: str, paths: list[str], stay: list[str]) -> None:
    """Unlike Docker's: a name without a slash counts in every folder, and a slash at the end means folders."""
    assert stay == kept(patterns, paths)


def test_the_example_of_the_page() -> None:
    """Notebooks are left out everywhere, and one folder, but for a file of it."""
    (text,) = blocks(DOCS / "layouts.md", "gitignore")

    paths = ["score.py", "a.ipynb", "d/b.ipynb", "tests/test_a.py", "d/tests/a.py", "tests/sample.csv"]
    assert ["score.py", "d/tests/a.py", "tests/sample.csv"] == kept(text, paths)


NAMES = ("a", "b", "ab", "a.b", "c/a", "c/b/ab", "a1/b", "b/a/c", "c/c/c/a")
PATTERNS = (
    *(
        "a",
        "/a",
        "a/",
        "/a/",
        "*",
        "/*",
        "*/",
        "a*",
        "*a",
        "?",
        "[ab]",
        "[!a]",
        "a.b",
        "\\a",
        "c/a",
        "c/*",
        "*/a",
        "c/",
    ),
    *(
        "**/a",
        "**/a/",
        "c/**",
        "c/**/a",
        "**/c/a",
        "**",
        "a/**",
        "b/a/c",
        "/c/b",
        "c/b/",
        "*b",
        "a?",
        "*1/b",
        "c*/a",
    ),
)


def test_git_itself_agrees(tmp_path: Path) -> None:
    """`git check-ignore` names the same files; with `!` this follows Azure ML, which decides about each file alone."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    files = {f"{index}/.gitignore": f"{pattern}\n" for index, pattern in enumerate(PATTERNS)}
    lay_out(files, tmp_path)
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    paths = [f"{index}/{name}" for index in range(len(PATTERNS)) for name in NAMES]
    words = ["git", "-C", str(tmp_path), "check-ignore", "--no-index", *paths]
    ignored = subprocess.run(words, capture_output=True, text=True, check=False, env=env).stdout.split()

    assert [path for path in paths if path not in ignored] == [
        f"{index}/{name}" for index, pattern in enumerate(PATTERNS) for name in kept(pattern, [*NAMES])
    ]


@pytest.mark.parametrize("pattern", ["a\\", "[z-a]", "*a*a*a*a*b", "*a*/*b*/*c*", "x" * 5000])
def test_a_pattern_that_cannot_be_read_is_an_error(pattern: str) -> None:
    """The line is named."""
    with pytest.raises(IllegalPattern) as caught:
        GitRules(parse_git_ignore(f"ok\n{pattern}\n", ".amlignore", ""))

    assert 2 == caught.value.rule.line


@given(text=st.text(alphabet="a*?[]!/\\#- \n{}^.", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else happens."""
    rules = parse_git_ignore(text, ".amlignore", "")
    try:
        matcher = GitRules(rules)
    except IllegalPattern:
        return
    for path in ("a", "a/b", "a/"):
        rule, stays = matcher.decision(path)
        assert stays or rule in rules
        matcher.may_descend("a")


AML = {"code/a.csv": "1", "code/data/b.csv": "2", "code/data/c.txt": "3", "code/keep.csv": "4"}


def test_it_counts_in_the_project_and_in_a_copied_folder(tmp_path: Path) -> None:
    """As Azure ML reads it in the folder that it uploads; the nearer one decides."""
    files = {**AML, ".amlignore": "*.csv\n", "code/.amlignore": "!keep.csv\n/data/\n"}

    assert ["file code/.amlignore 17", "file code/keep.csv 1"] == members(project_with(tmp_path, files=files))


def test_exclude_and_the_defaults_still_count(tmp_path: Path) -> None:
    """`exclude` comes last; the defaults come first, so `!` brings back what they leave out."""
    files = {
        **AML,
        "code/.amlignore": "*.csv\n!__pycache__/\n",
        "code/__pycache__/x.pyc": "",
        "code/y.pyc": "",
    }
    folder = project_with(
        tmp_path, table='exclude = ["!code/a.csv", "code/data", "code/.amlignore"]\n', files=files
    )

    assert ["file code/__pycache__/x.pyc 0", "file code/a.csv 1"] == [
        line for line in members(folder) if line.startswith("file")
    ]


def test_a_folder_that_is_left_out_is_no_member(tmp_path: Path) -> None:
    """A pattern for folders leaves out the folder, also if another one might bring something back."""
    files = {**AML, "code/.amlignore": "data/\n*.csv\n.amlignore\n!other/x\n"}

    assert [] == members(project_with(tmp_path, files=files))


def test_a_dockerignore_counts_alone(tmp_path: Path) -> None:
    """That is said once."""
    files = {**AML, ".amlignore": "*\n", "code/.amlignore": "*\n", ".dockerignore": "code/data\n"}
    folder = project_with(tmp_path, files=files)

    assert ["file code/.amlignore 2", "file code/a.csv 1", "file code/keep.csv 1"] == members(folder)
    assert [".amlignore is not used: .dockerignore counts"] == [
        warning.what for warning in azureml_tasks.load(folder).facts.warnings if "amlignore" in warning.what
    ]


def test_what_it_removes_and_what_is_wrong_in_it_is_named(tmp_path: Path) -> None:
    """With the file and the line."""
    folder = project_with(tmp_path / "a", files={"code/.amlignore": "# scripts\n*.py\n"})
    wrong = project_with(tmp_path / "b", files={".amlignore": "a\\\n"})

    assert (
        'code/.amlignore:2: the pattern "*.py" removes the entry script, code/score.py\n'
        '    Remove the pattern, or write: exclude = ["!code/score.py"]'
    ) == refusal(folder)
    assert (
        '.amlignore:1: "a\\" is not a valid pattern: git\'s patterns have no such form\n'
        "    See https://git-scm.com/docs/gitignore#_pattern_format"
    ) == refusal(wrong)


def test_a_link_that_leaves_the_project_is_not_read(tmp_path: Path) -> None:
    """A message about a pattern would show its content."""
    lay_out({"outside": "very-secret\\\n"}, tmp_path)
    folder = project_with(tmp_path / "project", links={"code/.amlignore": "../../outside"})

    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)

    assert "code/.amlignore: is a link that leaves the project" in str(caught.value)
    assert "very-secret" not in str(caught.value)
