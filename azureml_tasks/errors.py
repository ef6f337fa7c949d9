"""Every way a command can end badly: a class, its exit code, and one form of words.

The form: what is wrong and where; indented, the one next step to paste; what the other
program said; last, what has and has not happened.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "AzuremlTasksError",
    "BuildError",
    "EngineError",
    "Problem",
    "RegistryError",
    "RemoteBuildError",
    "SettingsError",
    "SmokeTestError",
    "Terminated",
    "stating",
]


class AzuremlTasksError(Exception):
    """What a user can mend; a traceback is only ever our own bug.

    Args:
        what: what is wrong and where, in one sentence.
        next_step: what to do about it, something to paste; lines are kept.
        said: what the other program said, in its own words ("docker said: …").
        state: what has and has not happened.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, next_step: str = "", said: str = "", state: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.said = said
        self.state = state

    def __str__(self) -> str:
        indented = [f"    {line}" for text in (self.next_step, self.said) for line in text.splitlines()]
        return "\n".join([self.what, *indented, *([self.state] if self.state else [])])


class EngineError(AzuremlTasksError):
    """An engine or a tool is missing, does not answer or cannot do what is asked."""

    exit_code = 3


class BuildError(AzuremlTasksError):
    """A build step failed, or nothing is built yet."""

    exit_code = 4


class SmokeTestError(AzuremlTasksError):
    """The image failed its smoke test, or has not passed the one asked for."""

    exit_code = 5


class RegistryError(AzuremlTasksError):
    """The registry is unknown, refuses, or does not hold what was sent."""

    exit_code = 6


class RemoteBuildError(AzuremlTasksError):
    """A build that was handed off did not come to its end."""

    exit_code = 7


class Terminated(BaseException):
    """SIGTERM, raised as an exception so that every `finally` runs; exit code 143."""


class Problem(NamedTuple):
    """One mistake in the project's files.

    Args:
        file: path as the user knows it, relative to the project.
        line: 1-based; 0 where the whole file is meant.
        what: the rule and the value that breaks it.
        fix: the next step, something to paste.
    """

    file: str
    line: int
    what: str
    fix: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return "\n".join([f"{where}: {self.what}", *(f"    {line}" for line in self.fix.splitlines())])


class SettingsError(AzuremlTasksError):
    """Everything that is wrong in the table and the files it names, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], *, state: str = "") -> None:
        first = "pyproject.toml"
        once = dict.fromkeys(problems)
        self.problems = tuple(sorted(once, key=lambda p: (p.file != first, p.file, p.line)))
        super().__init__("\n\n".join(map(str, self.problems)), state=state)

    def __str__(self) -> str:
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        state = self.state or "nothing was done."
        return f"{self.what}\n\n{count}; {state[0].lower()}{state[1:]}"


@contextmanager
def stating(state: str) -> Iterator[None]:
    """Add *state*, what has and has not happened, to an error that does not say it yet."""
    try:
        yield
    except AzuremlTasksError as error:
        error.state = error.state or state
        raise
