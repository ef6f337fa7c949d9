"""What hadolint, a linter of Dockerfiles, says of the ones we write."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.cases import sections
from tests.test_good_cases import GOOD

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


def complaints(text: str, ignored: tuple[str, ...]) -> str:
    """What hadolint says of *text* from its level `warning` on, without the rules *ignored*."""
    options = [option for rule in ignored for option in ("--ignore", rule)]
    argv = [HADOLINT, "--no-color", "--failure-threshold", "warning", *options, "-"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if " info: " not in line and " style: " not in line)


@pytest.mark.parametrize("case", LINTED, ids=[case.stem for case in LINTED])
def test_hadolint_is_quiet(case: Path) -> None:
    """No rule but the exceptions is broken by the Dockerfile of any case that hadolint can read."""
    assert complaints(sections(case)["Dockerfile"], tuple(EXCEPTIONS)) == ""


def test_each_exception_is_needed() -> None:
    """Every rule that is left out is broken by some case: an exception that nothing needs goes."""
    texts = [sections(case)["Dockerfile"] for case in GOOD]

    needed = {rule for rule in EXCEPTIONS if any(rule in complaints(text, ()) for text in texts)}

    assert set(EXCEPTIONS) == needed


def test_hadolint_speaks_up_where_something_is_wrong() -> None:
    """The quiet of the others is not that of a linter that does not run."""
    text = "FROM debian:12\nRUN cd /tmp && true\n"

    said = complaints(text, tuple(EXCEPTIONS))

    assert said == "-:2 DL3003 warning: Use WORKDIR to switch to a directory"


def test_what_hadolint_cannot_read_is_listed() -> None:
    """A case that hadolint cannot read is one that it says so of: an entry that nothing needs goes."""
    texts = {case.stem: sections(case)["Dockerfile"] for case in GOOD}

    said = {name: complaints(texts[name], tuple(EXCEPTIONS)).strip() for name in UNREADABLE}

    assert {"strings-that-end-in-a-backslash": "/dev/stdin:18:25 unexpected '\"'"} == said
