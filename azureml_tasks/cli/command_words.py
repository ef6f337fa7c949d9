"""The words of the command line before and after `--`.

Invoke joins those after it with blanks (invoke/parser/parser.py, `Parser.parse_argv`), so that what was quoted comes
apart. They are taken from the process's own arguments.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from azureml_tasks.errors import SettingsError

_DASHES = "--"


def words_before_dashes() -> list[str]:
    """Return the words that Invoke reads as flags and tasks."""
    words = sys.argv[1:]
    return words[: words.index(_DASHES)] if _DASHES in words else words


def words_after_dashes() -> tuple[str, ...]:
    """Return the words of a command, each as it was typed."""
    words = sys.argv[1:]
    return tuple(words[words.index(_DASHES) + 1 :]) if _DASHES in words else ()


def refuse_missing_value(flags: Iterable[str]) -> None:
    """Refuse a last word that is one of *flags*, which may be repeated: Invoke takes that for a list without values.

    Raises:
        SettingsError: the flag has no value.
    """
    last = (words_before_dashes() or [""])[-1]
    if last in {f"--{flag}" for flag in flags}:
        from azureml_tasks.errors import Problem, SettingsError

        raise SettingsError([Problem(last, 0, "needs a value", "Give it a value, or leave it out.")])


def unwanted_command(task: str, command: Sequence[str]) -> SettingsError:
    """Return the error of the task *task*, which runs no *command*."""
    from azureml_tasks.errors import Problem, SettingsError
    from azureml_tasks.plain_text import shell_join

    what = f"is followed by a command, which the task {task} does not run"
    fix = f"Leave it out, or run it in the image: invoke image.shell -- {shell_join(command)}"
    return SettingsError([Problem(_DASHES, 0, what, fix)])
