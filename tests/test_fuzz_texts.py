"""Any entry script, ignore file, requirements file and conda file ends in a result, or in an error of ours."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azureml_tasks.config.requirement import parse_requirement
from azureml_tasks.plain_text import clean
from azureml_tasks.project.entry_script import WrongScriptError, missing_functions
from azureml_tasks.project.ignore import IllegalPattern, Matcher, parse_ignore_file
from azureml_tasks.requirements.conda import read_conda
from azureml_tasks.requirements.files import read_tree
from azureml_tasks.text_file import UnreadableFile, decode
from tests.examples import examples
from tests.random_texts import LINES, PATTERNS, PYTHON, YAML, any_of


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck))
@given(source=any_of(PYTHON).map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=40))
def test_any_entry_script(source: bytes) -> None:
    """It lacks functions or not, or it has an error, which is reported with its line."""
    missing: list[str] = []
    with contextlib.suppress(SyntaxError, WrongScriptError):
        missing = missing_functions(source, "score.py")

    assert set(missing) <= {"init", "run"}


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck))
@given(
    text=any_of(PATTERNS), paths=st.lists(st.text("ab./\n\u2028\\|é", min_size=1, max_size=30), max_size=4)
)
def test_any_ignore_file(text: str, paths: list[str]) -> None:
    """Each pattern matches or not, or it is one that Docker refuses; no path takes longer than others."""
    rules = parse_ignore_file(text, ".dockerignore")
    with contextlib.suppress(IllegalPattern):
        matcher = Matcher(rules)
        for path in [*paths, "a" * 300, "/".join(["ab"] * 150)]:
            matcher.excluding(path)
            matcher.may_descend(path)


@settings(max_examples=examples(130), suppress_health_check=list(HealthCheck))
@given(texts=st.lists(any_of(LINES), min_size=1, max_size=3))
def test_any_requirements(texts: list[str]) -> None:
    """Each line is read, or is a problem whose message shows no login."""
    files = {"r.txt": texts[0], **{str(index): text for index, text in enumerate(texts)}}

    tree, problems = read_tree("r.txt", files.get)

    assert "r.txt" in tree.files
    assert all(str(problem) == clean(str(problem)) for problem in problems)
    assert all("u:p@" not in str(problem) for problem in problems)


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck))
@given(text=any_of(YAML) | any_of(YAML).map("dependencies:\n- {}".format))
def test_any_conda_file(text: str) -> None:
    """Each dependency becomes a requirement, or is a problem whose message can be printed."""
    file, problems = read_conda("a/conda.yml", text)
    _, more = read_tree("a/conda.yml", lambda _: None, text=file.pip_text)

    assert all(str(problem) == clean(str(problem)) for problem in (*problems, *more))
    assert all(parse_requirement(line.text) for line in file.packages)


@settings(max_examples=examples(60))
@given(data=st.binary(max_size=80), coding=st.binary(max_size=12), coding_lines=st.booleans())
def test_any_bytes_in_place_of_text(data: bytes, coding: bytes, coding_lines: bool) -> None:
    """They are decoded, or the error says why they cannot be."""
    with contextlib.suppress(UnreadableFile):
        decode(b"# coding: " + coding + b"\n" + data, coding_lines=coding_lines)
    with contextlib.suppress(UnreadableFile):
        decode(data, coding_lines=coding_lines)
