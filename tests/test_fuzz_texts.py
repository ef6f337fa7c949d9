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


def any_of(pieces: st.SearchStrategy[str], most: int = 25) -> st.SearchStrategy[str]:
    """Return texts of *pieces*, of which some are repeated very often."""
    short = pieces.filter(lambda piece: piece != NUMBER)
    repeated = st.tuples(short, st.sampled_from([1, 1, 1, 2, 120, 3000])).map(lambda pair: pair[0] * pair[1])
    return st.lists(st.one_of(pieces, pieces, repeated), max_size=most).map("".join)


@settings(max_examples=examples(300), suppress_health_check=list(HealthCheck))
@given(source=any_of(PYTHON).map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=40))
def test_any_entry_script(source: bytes) -> None:
    """It lacks functions or not, or it has an error, which is reported with its line."""
    missing: list[str] = []
    with contextlib.suppress(SyntaxError, WrongScriptError):
        missing = missing_functions(source, "score.py")

    assert set(missing) <= {"init", "run"}


@settings(max_examples=examples(300), suppress_health_check=list(HealthCheck))
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


@settings(max_examples=examples(400), suppress_health_check=list(HealthCheck))
@given(texts=st.lists(any_of(LINES), min_size=1, max_size=3))
def test_any_requirements(texts: list[str]) -> None:
    """Each line is read, or is a problem whose message shows no login."""
    files = {"r.txt": texts[0], **{str(index): text for index, text in enumerate(texts)}}

    tree, problems = read_tree("r.txt", files.get)

    assert "r.txt" in tree.files
    assert all(str(problem) == clean(str(problem)) for problem in problems)
    assert all("u:p@" not in str(problem) for problem in problems)


@settings(max_examples=examples(300), suppress_health_check=list(HealthCheck))
@given(text=any_of(YAML) | any_of(YAML).map("dependencies:\n- {}".format))
def test_any_conda_file(text: str) -> None:
    """Each dependency becomes a requirement, or is a problem whose message can be printed."""
    file, problems = read_conda("a/conda.yml", text)
    _, more = read_tree("a/conda.yml", lambda _: None, text=file.pip_text)

    assert all(str(problem) == clean(str(problem)) for problem in (*problems, *more))
    assert all(parse_requirement(line.text) for line in file.packages)


@settings(max_examples=examples(200))
@given(data=st.binary(max_size=80), coding=st.binary(max_size=12), coding_lines=st.booleans())
def test_any_bytes_in_place_of_text(data: bytes, coding: bytes, coding_lines: bool) -> None:
    """They are decoded, or the error says why they cannot be."""
    with contextlib.suppress(UnreadableFile):
        decode(b"# coding: " + coding + b"\n" + data, coding_lines=coding_lines)
    with contextlib.suppress(UnreadableFile):
        decode(data, coding_lines=coding_lines)
