"""Every way a command can fail: a class with its exit code, and one form for the message.

The form: what is wrong and where; indented, the next step to paste and what the other program said; last, what did
and did not happen.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def _indented(text: str) -> list[str]:
    from azureml_tasks.plain_text import clean

    return [f"    {line}" for line in clean(text).strip("\n").split("\n")] if text else []


class AzuremlTasksError(Exception):
    """An error that a user can act on. A traceback is only ever our own bug.

    Args:
        what: what is wrong and where, in one sentence.
        next_step: what to do about it, to paste; lines are kept.
        said: what the other program said, in its own words ("docker said: …").
        state: what did and did not happen.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, next_step: str = "", said: str = "", state: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.said = said
        self.state = state

    def name_files_from_here(self, project: Path) -> None:
        """Name each file of *project* that has a mistake by its path relative to the current folder."""

    def __str__(self) -> str:
        from azureml_tasks.plain_text import clean  # to list the tasks needs none of it

        indented = [*_indented(self.next_step), *_indented(self.said)]
        return "\n".join([clean(self.what), *indented, *([clean(self.state)] if self.state else [])])


class EngineError(AzuremlTasksError):
    """An engine or a tool is missing, does not answer, or cannot do what is needed."""

    exit_code = 3


class MachineError(AzuremlTasksError):
    """This machine cannot do what is needed: its disk is full, or a file cannot be written."""

    exit_code = 3


class BuildError(AzuremlTasksError):
    """A build step failed, or nothing is built yet."""

    exit_code = 4


class SmokeTestError(AzuremlTasksError):
    """The image failed its smoke test, or has not passed the one that the table asks for."""

    exit_code = 5


class RegistryError(AzuremlTasksError):
    """The registry is unknown, refuses, or does not hold what was sent."""

    exit_code = 6


class RemoteBuildError(AzuremlTasksError):
    """A remote build did not finish."""

    exit_code = 7


class Terminated(BaseException):
    """SIGTERM or SIGHUP, raised as an exception so that every `finally` runs.

    Args:
        signal_number: of the signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class Problem(NamedTuple):
    """One mistake in the project's files, or in a flag, variable or configured value.

    Args:
        file: the flag, variable or key; of a `FileProblem` the path.
        line: 1-based; 0 for the whole file.
        what: the rule and the value that breaks it.
        fix: the next step, to paste.
    """

    file: str
    line: int
    what: str
    fix: str = ""

    def __str__(self) -> str:
        from azureml_tasks.plain_text import one_line

        where = f"{self.file}:{self.line}" if self.line else self.file
        return "\n".join([one_line(f"{where}: {self.what}"), *_indented(self.fix)])


class FileProblem(Problem):
    """A mistake in a file, whose path is relative to the project."""

    __slots__ = ()


class SettingsError(AzuremlTasksError):
    """Everything that is wrong in the table and the files it names, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], *, state: str = "") -> None:
        first = "pyproject.toml"
        unique = dict.fromkeys(problems)
        self.problems = tuple(sorted(unique, key=lambda p: (p.file != first, p.file, p.line)))
        super().__init__("\n\n".join(map(str, self.problems)), state=state)

    def name_files_from_here(self, project: Path) -> None:
        """Name each file by its path relative to the current folder, unless that is the folder *project* itself.

        What is named so is a plain `Problem` afterwards, so that nothing is named twice.
        """
        folder = os.path.relpath(os.path.realpath(project))
        if folder == os.curdir:
            return
        self.problems = tuple(
            Problem((Path(folder) / each.file).as_posix(), *each[1:])
            if isinstance(each, FileProblem)
            else each
            for each in self.problems
        )
        self.what = "\n\n".join(map(str, self.problems))

    def __str__(self) -> str:
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        state = self.state or "nothing was done."
        return f"{self.what}\n\n{count}; {state[0].lower()}{state[1:]}"


_DISK_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def machine_error(error: OSError) -> MachineError:
    """Return what *error*, which no command expected, means for the user."""
    where = str(error.filename) if error.filename else ""
    if error.errno in _DISK_FULL:
        what = f"The disk of this machine is full{f': {where}' if where else ''}."
        return MachineError(what, next_step="df -h")
    if error.errno in _NOT_ALLOWED and where:
        fix = f"ls -ld {where}"
        if ".azureml-image" in where:
            fix += "\nor keep the records elsewhere: export INVOKE_AZUREML_IMAGE_STATE=FOLDER"
        return MachineError(f"{where} cannot be read or written by you.", next_step=fix)
    reason = f"{where}: {error.strerror}" if where and error.strerror else str(error)
    return MachineError(f"This machine reported an error: {reason}.")


@contextmanager
def stating(state: str) -> Iterator[None]:
    """Add *state*, what did and did not happen, to an error that does not say it yet.

    Raises:
        MachineError: for an `OSError` of the block.
    """
    try:
        yield
    except AzuremlTasksError as error:
        error.state = error.state or state
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        described = machine_error(error)
        described.state = state
        raise described from error
