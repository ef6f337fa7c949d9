"""The last lines of the step that failed, from the output of each builder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.engines.step_error import failed_step
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.project.dockerfile_cut import StepPlace
from azureml_tasks.project.dockerfile_text import split_dockerfile
from azureml_tasks.reporter import BuilderStep
from tests.plans import plan

if TYPE_CHECKING:
    from collections.abc import Callable


BUILDKIT = """\
#0 building with "default" instance using docker driver

#4 [internal] load metadata for docker.io/library/base:1
#4 DONE 0.0s

#5 [2/4] COPY model/ /var/azureml-app/
#5 sha256:864ba83a65f799734215a96f814bcaa8f228b4de926e4adc1599d99174bad593
#5 ...

#6 [3/4] RUN ["/bin/sh", "-c", "make"]
#6 0.184 ERROR: this is only what it prints
#6 0.185 #5 ERROR: so is this
#5 DONE 0.1s
#6 0.190
#6 0.191 DONE with that
#6 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
#7 [4/4] COPY code/ /var/azureml-app/
#7 CANCELED
------
 > [3/4] RUN ["/bin/sh", "-c", "make"]:
0.184 ERROR: this is only what it prints
------
ERROR: failed to solve: exit code: 2
"""


def test_the_failed_step_of_buildkit() -> None:
    """The lines of several steps alternate; those of the failed one are shown."""
    log = log_of(BUILDKIT, BuildLog.add_buildkit_line)

    lines = """\
ERROR: this is only what it prints
#5 ERROR: so is this
DONE with that
ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2"""
    assert ('RUN ["/bin/sh", "-c", "make"]', lines) == (log.instruction, log.last_lines)
    assert StepPlace(3, "RUN") == log.place


def test_an_error_of_buildkit_before_any_step() -> None:
    """If BuildKit fails before the first step, its own message is shown."""
    text = "#1 [internal] load remote build context\n#1 DONE 0.0s\nERROR: failed to solve: no such frontend\n"

    log = log_of(text, BuildLog.add_buildkit_line)

    assert ("", "ERROR: failed to solve: no such frontend") == (log.instruction, log.last_lines)
    assert log.place is None


LEGACY = """\
Step 1/3 : FROM base:1
 ---> 4421dcd7ed90
Step 2/3 : RUN ["/bin/sh", "-c", "echo first"]
 ---> Running in f3608ef42530
first
Removing intermediate container f3608ef42530
 ---> 0123456789ab
Step 3/3 : RUN ["/bin/sh", "-c", "make"]
 ---> Running in a3608ef42530
making

Removing intermediate container a3608ef42530
"""


def test_the_failed_step_of_the_legacy_builder() -> None:
    """The running step is the one that failed; status lines of the builder are left out."""
    log = log_of(LEGACY, BuildLog.add_legacy_line)
    log.add_error("The command '/bin/sh -c make' returned a non-zero code: 2")

    lines = "making\nThe command '/bin/sh -c make' returned a non-zero code: 2"
    assert ('RUN ["/bin/sh", "-c", "make"]', lines) == (log.instruction, log.last_lines)
    assert StepPlace(3, "RUN", counts_all=True) == log.place


def test_the_last_twenty_lines_are_shown() -> None:
    """A step may print thousands."""
    text = "Step 1/1 : RUN make\n" + "".join(f"line {number}\n" for number in range(100))

    log = log_of(text, BuildLog.add_legacy_line)

    assert [f"line {number}" for number in range(80, 100)] == log.last_lines.splitlines()


def test_a_step_of_a_numbered_stage() -> None:
    """If a step mounts a folder of the context, BuildKit prints the stage before the number."""
    text = "#5 [stage-0 2/3] RUN false\n#5 0.2 no\n#5 ERROR: exit code: 1\n"

    log = log_of(text, BuildLog.add_buildkit_line)

    assert ("RUN false", "no\nERROR: exit code: 1") == (log.instruction, log.last_lines)
    assert StepPlace(2, "RUN", "stage-0") == log.place


def test_a_step_of_a_named_stage_with_many_steps() -> None:
    """BuildKit fills numbers up with blanks."""
    text = "#5 [my.stage-2  7/12] COPY a b\n#5 ERROR: no a\n"

    log = log_of(text, BuildLog.add_buildkit_line)

    assert ("COPY a b", StepPlace(7, "COPY", "my.stage-2")) == (log.instruction, log.place)


def log_of(text: str, add_line: Callable[[BuildLog, str], object]) -> BuildLog:
    """Return the log after all lines of *text*."""
    log = BuildLog()
    for line in text.splitlines():
        add_line(log, line)
    return log


def test_what_a_line_of_buildkit_says_of_its_step() -> None:
    """Of each instruction its beginning, its lines and its end are told; of BuildKit's own steps nothing is."""
    text = """\
#1 [internal] load build context
#1 DONE 0.0s
#2 [1/3] FROM base:1
#2 CACHED
#3 [2/3] RUN make
#3 0.1 making
#3 DONE 61.5s
#4 [3/3] RUN false
#4 ERROR: exit code: 1
------
 > [3/3] RUN false:
"""
    log = BuildLog()

    steps = [log.add_buildkit_line(line) for line in text.splitlines()]

    make, false = BuilderStep("3", "RUN make"), BuilderStep("4", "RUN false")
    assert steps == [
        *[BuilderStep("1"), BuilderStep("1", state="done", seconds=0.0)],
        *[BuilderStep("2", "FROM base:1"), BuilderStep("2", "FROM base:1", "cached")],
        *[make, make._replace(text="making"), make._replace(state="done", seconds=61.5)],
        *[false, false._replace(state="failed")],
        *[BuilderStep("")] * 2,
    ]


def test_what_a_line_of_the_legacy_builder_says_of_its_step() -> None:
    """One step runs at a time, and says of its end only that it was cached."""
    text = "Step 1/2 : FROM base:1\n ---> 1\nStep 2/2 : RUN make\n ---> Using cache\nmaking\n"
    log = BuildLog()

    steps = [log.add_legacy_line(line) for line in text.splitlines()]

    base = BuilderStep("1", "FROM base:1", is_alone=True)
    make = BuilderStep("2", "RUN make", is_alone=True)
    assert [base, base, make, make._replace(state="cached"), make._replace(text="making")] == steps


CAUSE = """\
pip could not install the requirements:
    a.txt:1: alpha
    pip said: no"""


@pytest.mark.parametrize(
    ("instruction", "printed", "error"),
    [
        (
            "RUN python /tmp/azureml-image/install.py",
            f"{CAUSE}\nThe image was not built.\n",
            ("a.txt", 1, CAUSE),
        ),
        ("RUN python /tmp/azureml-image/install.py", f"{CAUSE}\n", None),
        ("RUN make", f"{CAUSE}\nThe image was not built.\n", None),
    ],
)
def test_the_cause_that_our_own_script_says(
    instruction: str, printed: str, error: tuple[str, int, str] | None
) -> None:
    """It is all that the error shows; of another command, or if the script did not end, the last lines are shown."""
    log = log_of(f"Step 1/1 : {instruction}\n{printed}", BuildLog.add_legacy_line)

    failed = failed_step(log)

    expected = error or ("", 0, printed.rstrip("\n"))
    assert expected == (failed.file, failed.line, failed.said)
    assert (error is None, True) == (failed.said_is_log, failed.log_says_why)
    assert ("" if error else instruction) == failed.instruction


@pytest.mark.parametrize("mounts", [False, True])
@pytest.mark.parametrize(
    ("printed", "named"),
    {
        "no such package": ("E: Unable to locate package libgomp9", ["libgomp9"]),
        "no such name or pattern": (
            "E: Unable to locate package libgomp9\nE: Couldn't find any package by glob 'libgomp9'",
            ["libgomp9"],
        ),
        "two": (
            "E: Unable to locate package libgomp9\nE: Version '2' for 'curl' was not found",
            ["libgomp9", "curl=2"],
        ),
        "no candidate": ("E: Package 'curl' has no installation candidate", ["curl=2"]),
        "a list that was not fetched": ("W: Failed to fetch x\nE: Unable to locate package libgomp9", []),
        "another cause": ("E: Sub-process /usr/bin/dpkg returned an error code (1)", []),
        "no cause": ("Reading package lists...", []),
    }.values(),
)
def test_apt_packages_that_do_not_exist_are_named(printed: str, named: list[str], *, mounts: bool) -> None:
    """They are named as the key `apt` has them; if something else may be the cause, the last lines are shown."""
    text = render(plan(apt=("libgomp9", "curl=2")), mounts=mounts)
    (apt,) = (each for each in split_dockerfile(text).instructions if "apt-get" in each.arguments)
    step = f"Step 1/1 : {apt.name} {apt.arguments}\n"
    log = log_of(f"{step}Reading package lists...\n{printed}", BuildLog.add_legacy_line)

    failed = failed_step(log)

    apt_lines = [f"    apt said: {line[3:]}" for line in printed.splitlines()]
    lines = [
        "apt could not install the packages:",
        *(f"    pyproject.toml: {each}" for each in named),
        *apt_lines,
    ]
    assert (failed.said == "\n".join(lines)) == bool(named)
    assert failed.said_is_log == (not named)
    assert failed.log_says_why
