"""The error for a step of a Dockerfile that failed, with its cause.

Our own script that installs packages says the cause in its last lines, and apt which package does not exist. Of another
command, all last lines are shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.engines.build_log import OUR_SCRIPT
from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.engines.build_log import BuildLog

_CAUSE = re.compile(
    r"pip could not (?:install|download) the \w+:|pip check reports conflicts that are not in the base"
)
_PLACE = re.compile(r"^ +(?!pip said: )(?P<file>[^\s:][^:]*):(?P<line>\d{1,9}): \S", re.MULTILINE)
"""Where the project requires what could not be installed, see `in_image/conflicts.py`, `requirement_lines`."""
_APT = re.compile(
    r"RUN .*\bapt-get\b.* install --yes --no-install-recommends (?P<packages>.+?) +&& apt-get clean\b"
)
"""The instruction that installs the packages of the key `apt`, see `planning/dockerfile.py`."""
_APT_SAID = re.compile(r"([EW]): (.*)")
_NO_SUCH_PACKAGE = re.compile(
    r"Unable to locate package |Couldn't find any package by |Version '.*' for '.*' was not found$"
    r"|Package '.*' has no installation candidate$"
)
_END = "The image was not built."
"""The lines between which `in_image/install.py` and `in_image/download.py` say the cause."""


def failed_step(log: BuildLog, where: str = "") -> BuildError:
    """Return the error for the step of *log* that failed.

    Args:
        log: of a build that failed.
        where: it failed, such as ` in run ca1`.
    """
    if not log.instruction:
        return BuildError(f"The build failed{where}.", said=log.last_lines, said_is_log=True)
    what = f"The Python packages cannot be installed{where}."
    lines = log.last_lines.split("\n") if OUR_SCRIPT.match(log.instruction) else []
    if not_installed := packages_error(what, lines):
        return not_installed
    if cause := _apt_cause(log):
        error = BuildError(f"The Debian packages cannot be installed{where}.", said=cause)
        error.log_says_why = True
        return error
    error = BuildError(
        f"A build step failed{where}: {log.instruction}", said=log.last_lines, said_is_log=True
    )
    error.instruction = log.instruction
    return error


def packages_error(what: str, lines: Sequence[str]) -> BuildError | None:
    """Return the error for Python packages that cannot be installed; None if our script does not say why.

    Args:
        what: is wrong, in one sentence.
        lines: the last ones of the script.
    """
    cause = cause_of(lines)
    if not cause:
        return None
    error = BuildError(what, said=cause)
    error.file, error.line = place_in(cause)
    error.log_says_why = True
    return error


def _apt_cause(log: BuildLog) -> str:
    """Return which packages of the key `apt` do not exist; "" if the step failed by something else."""
    step = _APT.match(log.instruction)
    messages = [match.groups() for line in log.last_lines.split("\n") if (match := _APT_SAID.fullmatch(line))]
    # A warning may be the cause: without the lists of an index, its packages do not exist.
    if not step or not messages:
        return ""
    if not all(kind == "E" and _NO_SUCH_PACKAGE.match(what) for kind, what in messages):
        return ""
    words = {word.strip("'") for _, what in messages for word in what.split()}
    wanted = [each for each in step["packages"].split() if each.partition("=")[0] in words]
    lines = [*(f"pyproject.toml: {each}" for each in wanted), *(f"apt said: {what}" for _, what in messages)]
    return "\n".join(["apt could not install the packages:", *(f"    {line}" for line in lines)])


def place_in(cause: str) -> tuple[str, int]:
    """Return the file and line that *cause* names first; "" and 0 if it names none."""
    place = _PLACE.search(cause)
    return (place["file"], int(place["line"])) if place else ("", 0)


def cause_of(lines: Sequence[str]) -> str:
    """Return why the packages cannot be installed, from the last *lines* of our script; "" if it does not say it."""
    if _END not in lines:
        return ""
    end = len(lines) - 1 - [*reversed(lines)].index(_END)
    starts = [index for index, line in enumerate(lines[:end]) if _CAUSE.match(line)]
    return "\n".join(lines[starts[-1] : end]) if starts else ""
