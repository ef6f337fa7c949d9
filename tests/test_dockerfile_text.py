"""A Dockerfile is split as Docker's own parser splits it."""

from __future__ import annotations

import contextlib

import dockerfile  # type: ignore[import-not-found]  # a compiled module without types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azureml_tasks.project.dockerfile_text import Instruction, split_dockerfile
from tests.dockerfile_values import PIECES
from tests.examples import examples

TEXT = """\
\ufeff# Syntax = docker/dockerfile:1
# escape=\\

# a comment
from  base:1   as build\r
RUN --mount=type=cache,target="/a b" --network=none \\
    # between
    pip install \\

    numpy
COPY <<EOF <<-'END' /app/
FROM nothing
EOF
\tindented
\tEND
RUN ["sh", "<<EOF"]
ONBUILD RUN <<X
true
X
CMD -- --flag
"""


def test_each_instruction_has_its_parts() -> None:
    """Comments, continued lines, flags and here-documents are read as the builders read them."""
    split = split_dockerfile(TEXT)

    assert {"syntax": "docker/dockerfile:1", "escape": "\\"} == split.directives
    assert split.unfinished == 0
    assert (
        Instruction(5, "FROM", (), "base:1   as build"),
        Instruction(
            6, "RUN", ('--mount=type=cache,target="/a b"', "--network=none"), "pip install     numpy"
        ),
        Instruction(11, "COPY", (), "<<EOF <<-'END' /app/", ("FROM nothing\n", "\tindented\n")),
        Instruction(16, "RUN", (), '["sh", "<<EOF"]'),
        Instruction(17, "ONBUILD", (), "RUN <<X", ("true\n",)),
        Instruction(20, "CMD", (), "--flag"),
    ) == split.instructions


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FROM a\nRUN true \\", 2),
        ("FROM a\nRUN true \\\n\n# more\n", 2),
        ("FROM a\nRUN <<EOF\ntrue\n", 2),
        ("FROM a\n# escape=`\nRUN true `\n", 0),
        ("# escape=`\nFROM a\nRUN true `\n", 3),
        ("FROM a\nRUN echo a\\\\\n", 0),
        ("\\\n", 1),
        ("", 0),
    ],
)
def test_an_instruction_that_the_file_cuts_off(text: str, line: int) -> None:
    """It is named by its line."""
    assert line == split_dockerfile(text).unfinished


@settings(max_examples=examples(130), deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.lists(PIECES, max_size=25).map("".join))
def test_any_text(text: str) -> None:
    """It is split without an error."""
    split = split_dockerfile(text)

    lines = [instruction.line for instruction in split.instructions]
    assert sorted(set(lines)) == lines
    assert split.unfinished in {0, *lines, *range(1, text.count("\n") + 2)}


PLAIN = st.sampled_from(
    ["FROM a\n", "FROM a AS b\n", "from b\n", "RUN echo ", "COPY a ", "CMD x ", "ARG A=1\n", "USER x\n", "a ", "b\n",
     "\n", " \\\n", " \\ \n", "# c\n", "  # c\n", "\t", " ", "\r\n", '["a"]\n', "é", "$A ", "; ", "--from=b "]
)  # fmt: skip


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.lists(PLAIN, min_size=1, max_size=20).map("".join))
def test_dockers_own_parser_finds_the_same(text: str) -> None:
    """Names and lines of instructions are those of moby's parser, if that reads the text."""
    parsed = None
    with contextlib.suppress(dockerfile.GoParseError):
        parsed = dockerfile.parse_string(text)

    if parsed is not None:
        expected = [((each.cmd or "").upper(), each.start_line) for each in parsed]
        split = split_dockerfile(text)
        assert expected == [(each.name, each.line) for each in split.instructions]
