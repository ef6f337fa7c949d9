"""Every way a command can fail: a class with its exit code, and one form for the message.

The form: what is wrong and where; indented, the next step to paste and what the other program said; last, what did
and did not happen.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


def _indented(text: str) -> list[str]:
    from azureml_tasks.plain_text import clean

    return [f"    {line}" for line in clean(text).strip("\n").split("\n")] if text else []


def spell_commands(text: str, spell: Callable[[str], str]) -> str:
    """Return *text* of another program with our commands replaced by *spell*; its other words stay as they are.

    One of our scripts in an image may have printed the command.
    """
    return "\n".join(spell(line) if "invoke image." in line else line for line in text.split("\n"))


class AzuremlTasksError(Exception):
    """An error that a user can act on. A traceback is only ever our own bug.

    Args:
        what: what is wrong and where, in one sentence.
        next_step: what to do about it, to paste; lines are kept.
        said: what the other program said, in its own words ("docker said: …").
        state: what did and did not happen.
        brief: what is wrong without logs, for a place beside the whole message; "" if *what* has none.
        said_is_log: whether *said* is the end of a log that says why.

    Attributes:
        log: the file that has the whole log of what failed, as messages call it; "" for none.
        log_says_why: whether the log says why, so that its file is worth naming.
        log_is_shown: whether the log was shown just before, so that its end is not shown again.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    """What programs know the class by; none changes."""

    def __init__(
        self,
        what: str,
        *,
        next_step: str = "",
        said: str = "",
        state: str = "",
        brief: str = "",
        said_is_log: bool = False,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.said = said
        self.state = state
        self.brief = brief
        self.said_is_log = said_is_log
        self.log = ""
        self.log_says_why = said_is_log
        self.log_is_shown = False

    def name_files_from_here(self, project: Path) -> None:
        """Name each file of *project* that has a mistake by its path relative to the current folder."""

    def spell(self, spell: Callable[[str], str]) -> None:
        """Let *spell* replace the tasks that the message names by commands to paste."""
        texts = (self.what, self.next_step, self.state, self.brief)
        self.what, self.next_step, self.state, self.brief = map(spell, texts)
        self.said = spell_commands(self.said, spell)

    def __str__(self) -> str:
        from azureml_tasks.plain_text import clean  # to list the tasks needs none of it

        heading = "Its last lines say why:" if self.said_is_log else ""
        said = [] if self.said_is_log and self.log_is_shown else [*_indented(heading), *_indented(self.said)]
        indented = [*_indented(self.next_step), *said]
        log = f"The whole log is in {self.log}." if self.log else ""
        end = clean(" ".join(filter(None, [log, self.state])))
        return "\n".join([clean(self.what), *indented, *([end] if end else [])])


class EngineError(AzuremlTasksError):
    """An engine or a tool is missing, does not answer, or cannot do what is needed."""

    exit_code = 3
    code = "engine"


class MachineError(AzuremlTasksError):
    """This machine cannot do what is needed: its disk is full, or a file cannot be written."""

    exit_code = 3
    code = "machine"


class BuildError(AzuremlTasksError):
    """A build step failed, or nothing is built yet.

    Attributes:
        file: of the project that has the requirement or the shell command which failed; "" if none is known.
        line: of that requirement or command, 1-based; 0 if it is not known.
        instruction: of the Dockerfile, that failed; "" if none is known.
    """

    exit_code = 4
    code = "build"
    file: str = ""
    line: int = 0
    instruction: str = ""

    def file_in(self, project: Path | None) -> Path | None:
        """Return that file in the folder of the *project*; None if it is not there, or the folder is not known."""
        path = project / self.file if project else None
        return path if path and path.is_file() else None


class SmokeTestError(AzuremlTasksError):
    """The image failed its smoke test, or has not passed the one that the table asks for."""

    exit_code = 5
    code = "smoke-test"


class RegistryError(AzuremlTasksError):
    """The registry is unknown, refuses, or does not hold what was sent."""

    exit_code = 6
    code = "registry"


class RemoteBuildError(AzuremlTasksError):
    """A remote build did not finish."""

    exit_code = 7
    code = "remote-build"


class Terminated(BaseException):
    """SIGTERM or SIGHUP, raised as an exception so that every `finally` runs.

    Args:
        signal_number: of the signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


PROBLEM_CODES: Mapping[str, str] = MappingProxyType({
    "missing-key": "a key that is required is not there",
    "missing-table": "the file has no table `[tool.azureml-image]`",
    "not-toml": "the file is not TOML",
    "settings": "any other mistake in a file, a flag, a variable or a configured value",
    "unknown-key": "a key or an option is not known",
    "wrong-type": "a value has another type than the key takes",
    "wrong-value": "a value breaks the rule of its key",
})  # fmt: skip
"""Each code of a mistake with what it means; none changes its meaning, and none goes away."""


class Problem(NamedTuple):
    """One mistake in the project's files, or in a flag, variable or configured value.

    Args:
        file: the flag, variable or key; of a `FileProblem` the path.
        line: 1-based; 0 for the whole file.
        what: the rule and the value that breaks it.
        fix: the next step, to paste.
        code: what programs know the kind of mistake by, one of `PROBLEM_CODES`.
    """

    file: str
    line: int
    what: str
    fix: str = ""
    code: str = "settings"

    def __str__(self) -> str:
        from azureml_tasks.plain_text import one_line

        where = f"{self.file}:{self.line}" if self.line else self.file
        return "\n".join([one_line(f"{where}: {self.what}"), *_indented(self.fix)])


class FileProblem(Problem):
    """A mistake in a file, whose path is relative to the project."""

    __slots__ = ()


class LocatedProblem(Problem):
    """A mistake in a file, whose path is relative to the current folder."""

    __slots__ = ()


class SettingsError(AzuremlTasksError):
    """Everything that is wrong in the table and the files it names, in the order of the file."""

    exit_code = 2
    code = "settings"

    def __init__(self, problems: Sequence[Problem], *, state: str = "") -> None:
        first = "pyproject.toml"
        unique = dict.fromkeys(problems)
        self.problems = tuple(sorted(unique, key=lambda p: (p.file != first, p.file, p.line)))
        super().__init__("\n\n".join(map(str, self.problems)), state=state)

    def name_files_from_here(self, project: Path) -> None:
        """Name each file by its path relative to the current folder, unless that is the folder *project* itself.

        What is named so is a `LocatedProblem` afterwards, so that nothing is named twice.
        """
        folder = os.path.relpath(os.path.realpath(project))
        is_here = folder == os.curdir
        self.problems = tuple(
            LocatedProblem(each.file if is_here else (Path(folder) / each.file).as_posix(), *each[1:])
            if isinstance(each, FileProblem)
            else each
            for each in self.problems
        )
        self.what = "\n\n".join(map(str, self.problems))

    def spell(self, spell: Callable[[str], str]) -> None:
        """Let *spell* replace the tasks that the message and its problems name."""
        self.problems = tuple(
            each._replace(what=spell(each.what), fix=spell(each.fix)) for each in self.problems
        )
        super().spell(spell)

    def __str__(self) -> str:
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        state = self.state or "nothing was done."
        return f"{self.what}\n\n{count}; {state[0].lower()}{state[1:]}"


_DISK_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def machine_error(error: OSError) -> MachineError:
    """Return what *error*, which no command expected, means for the user."""
    from azureml_tasks.plain_text import one_line, shell_join

    where = one_line(str(error.filename)) if error.filename else ""
    if error.errno in _DISK_FULL:
        what = f"The disk of this machine is full{f': {where}' if where else ''}."
        return MachineError(what, next_step="df -h")
    if error.errno in _NOT_ALLOWED and where:
        fix = shell_join(["ls", "-ld", str(error.filename)])
        if ".azureml-image" in where:
            fix += "\nor keep the records elsewhere: export INVOKE_AZUREML_IMAGE_STATE=FOLDER"
        return MachineError(f"{where} cannot be read or written by you.", next_step=fix)
    reason = f"{where}: {error.strerror}" if where and error.strerror else error.strerror or str(error)
    return MachineError(f"This machine reported an error: {reason}.")


def connection_failure(error: BaseException) -> str:
    """Return why a connection failed, such as "Connection refused".

    The innermost error of the system or of HTTP in the chain says it. An error that holds an answer has words of its
    own, and so has one without such a cause.
    """
    from http.client import HTTPException  # to list the tasks needs none of these

    from urllib3.exceptions import ProxyError

    from azureml_tasks.plain_text import clean

    chain = [error]
    while inner := _inner(chain[-1]):
        chain.append(inner)
    cause = next((each for each in reversed(chain) if isinstance(each, OSError | HTTPException)), error)
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    at_proxy = any(isinstance(each, ProxyError) for each in chain)
    return clean(f"at the proxy: {words}" if at_proxy else words)


def _inner(error: BaseException) -> BaseException | None:
    """Return what *error* was raised for; None if it holds an answer, such as one with an error status."""
    if getattr(error, "response", None) is not None:
        return None
    context = None if error.__suppress_context__ else error.__context__
    # azure-core has an attribute for it, and an error of urllib3 that was never raised has it in its arguments.
    others = [getattr(error, "inner_exception", None), *error.args]
    return (
        error.__cause__ or context or next((each for each in others if isinstance(each, BaseException)), None)
    )


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
