"""What hadolint, a linter for Dockerfiles, reports about the rendered ones."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.cases import GOOD, sections

if TYPE_CHECKING:
    from pathlib import Path

HADOLINT = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or "hadolint"
EXCEPTIONS = {
    "DL3007": "`latest` is Azure ML's own advice for its base images, and the base is the user's to choose",
    "DL3008": "a package's version is the user's to choose: pinned ones leave Debian's mirrors within months",
}
UNREADABLE = {
    "strings-that-end-in-a-backslash": "hadolint's parser takes the quote behind two backslashes for escaped; "
    "Docker's own does not, as test_dockerfile shows",
}
LINTED = [case for case in GOOD if case.stem not in UNREADABLE]


def findings(text: str, ignored: tuple[str, ...]) -> str:
    """Return hadolint's warnings and errors for *text*, without the rules *ignored*."""
    options = [option for rule in ignored for option in ("--ignore", rule)]
    argv = [HADOLINT, "--no-color", "--failure-threshold", "warning", *options, "-"]
    ended = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    lines = (ended.stdout + ended.stderr).splitlines()
    return "\n".join(line for line in lines if " info: " not in line and " style: " not in line)


@pytest.mark.parametrize("case", LINTED, ids=[case.stem for case in LINTED])
def test_hadolint_reports_nothing(case: Path) -> None:
    """The Dockerfiles of the cases break no rule except the listed exceptions."""
    assert findings(sections(case)["Dockerfile"], tuple(EXCEPTIONS)) == ""


def test_each_exception_is_needed() -> None:
    """Some case breaks each rule that is an exception."""
    texts = [sections(case)["Dockerfile"] for case in GOOD]

    needed = {rule for rule in EXCEPTIONS if any(rule in findings(text, ()) for text in texts)}

    assert set(EXCEPTIONS) == needed


def test_hadolint_reports_a_bad_dockerfile() -> None:
    """The linter runs and finds a mistake."""
    text = "FROM debian:12\nRUN cd /tmp && true\n"

    reported = findings(text, tuple(EXCEPTIONS))

    assert reported == "-:2 DL3003 warning: Use WORKDIR to switch to a directory"


def test_hadolint_cannot_read_the_listed_cases() -> None:
    """Each listed case is one for which hadolint reports a syntax error."""
    texts = {case.stem: sections(case)["Dockerfile"] for case in GOOD}

    reported = {name: findings(texts[name], tuple(EXCEPTIONS)).strip() for name in UNREADABLE}

    assert {"strings-that-end-in-a-backslash": "/dev/stdin:19:25 unexpected '\"'"} == reported
