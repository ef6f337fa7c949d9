"""Pieces of Dockerfiles, and tables whose values try to add an instruction, for tests with random input."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HOSTILE", "NAMES", "ONE_HOSTILE", "PIECES", "TABLES", "Table"]

PIECES = st.sampled_from(
    ["FROM a\n", "FROM a AS b\n", "from b\n", "RUN ", "COPY ", "ADD ", "CMD ", "ARG A=1\n", "USER x\n", "ONBUILD ",
     "--mount=type=cache ", "--chmod=1 ", "--from=b ", "-- ", '--x="a b" ', "a ", "b\n", "\n", "\\\n", "\\",
     " \\ \n", "# c\n", "  # c\n", "# escape=`\n", "# syntax=x\n", "`\n", "<<EOF", "<<-EOF", "<<'EOF'", "1<<EOF",
     "<<<", "EOF\n", "\tEOF\n", '["a"]\n', '"', "'", "\t", " ", "\r\n", "\ufeff", "é", "\u2028", "\0", "$A ", "; "]
)  # fmt: skip
# What has a meaning to Docker's parser, to its variables or to a shell; half of the characters come from here.
MARKS = [
    *list(" \t\\\"'$`{}()[]<>#=&|;*?!@%~-\x0b\x0c\x1b\x7f\x85\u2028\ufeff模😀"),
    "\\\\", "<<EOF", "FROM x", "from", " --mount=type=bind", "# escape=`", "${HOME}", "\\n",
    "\nRUN x\n", "\r", "\0",
]  # fmt: skip
HOSTILE = st.lists(st.one_of(st.sampled_from(MARKS), st.characters(codec="utf-8")), max_size=12).map("".join)
NAMES = st.one_of(st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True), st.just("from"), HOSTILE)
SOUND = st.sampled_from(["from", "g++", "curl=7.88.1-10+deb12u8"])
PACKAGES = st.one_of(SOUND, st.sampled_from(["-o=x", "curl; rm -rf /"]), HOSTILE)
RUNS = st.fixed_dictionaries({
    "command": HOSTILE,
    "after": st.sampled_from(["apt", "pip", "code"]),
    "user": st.sampled_from(["root", "runtime"]),
})  # fmt: skip


@dataclass(kw_only=True)
class Table:
    """Values for the keys that are written into the Dockerfile."""

    apt: list[str] = field(default_factory=list)
    base: str = "minimal-py312-inference"
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    pip: list[str] = field(default_factory=list)
    run: list[dict[str, str]] = field(default_factory=list)
    user: str = "dockeruser"
    version: str = "1.0"
    url: str = "https://contoso.example/scoring"

    def toml(self) -> str:
        """As pyproject.toml: JSON's strings and arrays are TOML's as well."""
        runs = ", ".join(_inline(run) for run in self.run)
        lines = [
            "[project]",
            'name = "scoring"',
            f"version = {_string(self.version)}",
            f"urls = {{ source = {_string(self.url)} }}",
            "[tool.azureml-image]",
            f"base = {_string(self.base)}",
            'tags = ["1"]',  # no version that a tag cannot hold would be accepted without
            f"apt = [{', '.join(map(_string, self.apt))}]",
            f"pip = [{', '.join(map(_string, self.pip))}]",
            f"user = {_string(self.user)}",
            f"env = {_inline({name: text.replace('$', '$$') for name, text in self.env.items()})}",
            f"labels = {_inline(self.labels)}",
            f"run = [{runs}]",
        ]
        return "\n".join(lines) + "\n"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(table: Mapping[str, str]) -> str:
    pairs = (f"{_string(name)} = {_string(text)}" for name, text in table.items())
    return "{ " + ", ".join(pairs) + " }"


# All at once where any text is accepted; what is refused mostly is hostile one at a time.
TABLES = st.builds(
    Table,
    apt=st.lists(SOUND, max_size=2),
    base=st.sampled_from(["bases/serving", "minimal-py312-inference"]),
    env=st.dictionaries(NAMES, HOSTILE, max_size=3),
    labels=st.dictionaries(NAMES, HOSTILE, max_size=3),
    pip=st.lists(st.just("numpy"), max_size=1),
    run=st.lists(RUNS, max_size=3),
    version=HOSTILE.filter(bool),
    url=HOSTILE,
)
ONE_HOSTILE = st.one_of(
    st.builds(Table, apt=st.lists(PACKAGES, min_size=1, max_size=2)),
    st.builds(Table, base=HOSTILE),
    st.builds(Table, env=st.dictionaries(NAMES, HOSTILE, min_size=1, max_size=3)),
    st.builds(Table, labels=st.dictionaries(NAMES, HOSTILE, min_size=1, max_size=3)),
    st.builds(Table, pip=st.lists(HOSTILE, min_size=1, max_size=1)),
    st.builds(Table, run=st.lists(RUNS, min_size=1, max_size=3)),
    st.builds(Table, user=HOSTILE),
    st.builds(Table, version=HOSTILE.filter(bool), url=HOSTILE),
)
