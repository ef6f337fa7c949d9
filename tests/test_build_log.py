"""The last lines of the step that failed, from the output of each builder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.engines.build_log import BuildLog

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


def test_an_error_of_buildkit_before_any_step() -> None:
    """If BuildKit fails before the first step, its own message is shown."""
    text = "#1 [internal] load remote build context\n#1 DONE 0.0s\nERROR: failed to solve: no such frontend\n"

    log = log_of(text, BuildLog.add_buildkit_line)

    assert ("", "ERROR: failed to solve: no such frontend") == (log.instruction, log.last_lines)


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


def log_of(text: str, add_line: Callable[[BuildLog, str], None]) -> BuildLog:
    """Return the log after all lines of *text*."""
    log = BuildLog()
    for line in text.splitlines():
        add_line(log, line)
    return log
