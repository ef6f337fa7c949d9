"""What teams have: each case of `tests/cases/init/` goes through `image.init`, and its table through a check."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.cases import sections
from tests.init_cases import INIT, KINDS

TRAPS = {
    "heredocs": r"^RUN <<END$[\s\S]*^COPY <<",
    "arg-in-from": r"^ARG TAG=[\s\S]*^FROM .*\$",
    "paths-above": r": \.\./\.\./",
    "two-copies-to-one-place": r"^COPY \S+ /var/azureml-app/?$[\s\S]*^COPY \S+ /var/azureml-app/?$",
    "env-that-extends-path": r"^ENV PATH=\S*:\$PATH$",
    "conda-env-create": r"^RUN conda env create ",
    "index-url": r"^RUN pip install --index-url https://",
    "yaml-anchors": r": &(\w+)[\s\S]*: \*\1$",
    "windows-line-ends": r"^-- Dockerfile \(windows\) --$",
    "dockerfile-that-is-not-utf-8": r"^-- Dockerfile \(latin-1\) --$[\s\S]*[\u0080-\u00ff]",
}
"""What is easily misread: name of the case → what its text has."""


@pytest.mark.parametrize("name", TRAPS)
def test_a_case_has_each_trap(name: str) -> None:
    """The text of the case has what its name says."""
    (case,) = [case for case in INIT if case.stem == f"trap-{name}"]

    assert re.search(TRAPS[name], case.read_text(encoding="utf-8"), re.MULTILINE)


def test_there_are_three_cases_of_each_kind() -> None:
    """Each kind of source is in three cases or more, and so is a folder in which nothing is named."""
    kinds = Counter(case.stem.partition("-")[0] for case in INIT)
    unnamed = [case for case in INIT if "--from" not in sections(case)["command"]]

    assert {kind: kinds[kind] for kind in (*KINDS, "folder") if kinds[kind] < 3} == {}
    assert len(unnamed) >= 3
    assert len([case for case in INIT if case.stem.startswith("trap-")]) >= 10
