"""What Invoke's parser cannot read on a command line, said as a mistake with its next step."""

from __future__ import annotations

import difflib
import re
from ast import literal_eval
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.cli.command_words import words_before_dashes
from azureml_tasks.cli.tasks import TASKS
from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.plain_text import shell_join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.exceptions import ParseError

    from azureml_tasks.cli.exit_handling import Messages

_UNKNOWN = re.compile(r"No idea what (.+) is!", re.DOTALL)
_WITHOUT_VALUE = re.compile(r"Flag <Argument: ([\w-]+).*needed value")
"""What Invoke's parser says (invoke/parser/parser.py, `ParseMachine.handle` and `complete_flag`)."""
_NAMES = tuple(spec.name for spec in TASKS)
_READS_FILES = "init"
_JSON = "--json"
_LIKENESS = 0.65
"""How alike a flag and what was typed must be (`difflib`): "--dri" and "--tga" are mistyped flags, "--frob" is none."""


def usage_error(error: ParseError, program: str, flags: Sequence[str]) -> SettingsError:
    """Return what *error* of Invoke's parser means.

    Args:
        error: of the parser; its context is the task that was typed before the mistake, if there is one.
        program: name of the program.
        flags: that stand before a task.
    """
    task = (error.context.name if error.context else None) or ""
    if match := _UNKNOWN.fullmatch(str(error)):
        return SettingsError([_unknown_word(_unquoted(match[1]), task, program, flags)])
    if match := _WITHOUT_VALUE.match(str(error)):
        return SettingsError(
            [Problem(f"--{match[1]}", 0, "needs a value", f"{program} --help {task}".rstrip())]
        )
    return SettingsError([Problem(program, 0, str(error), f"{program} --help")])


def print_as_json(error: SettingsError, messages: Messages) -> None:
    """Print *error* as the object of the task that `--json` was typed for; nothing if there is no such task.

    Args:
        error: with which the program ends before its tasks begin.
        messages: spell the tasks in a text.
    """
    from azureml_tasks.cli.json_output import printed_as_json
    from azureml_tasks.cli.json_shapes import SHAPES

    words = words_before_dashes()
    before = words[: words.index(_JSON)] if _JSON in words else []
    if task := next((word for word in reversed(before) if word in SHAPES), ""):
        with suppress(SettingsError), printed_as_json(task, messages):
            raise error


def _unquoted(text: str) -> str:
    with suppress(SyntaxError, ValueError):
        return str(literal_eval(text))
    return text[1:-1]


def _unknown_word(word: str, task: str, program: str, flags: Sequence[str]) -> Problem:
    if not word.startswith("-"):
        return _unknown_task(word, task, program)
    takers = [spec.name for spec in TASKS if word.removeprefix("--") in {*spec.flags} - {*spec.idle}]
    typed = task or next((each for each in words_before_dashes() if each in _NAMES), "")
    if takers and typed and typed not in takers:
        return Problem(word, 0, f"is not a flag of the task {typed}", f"It is one of: {', '.join(takers)}")
    if takers:
        fix = f"Type it after the task: {program} {typed or takers[0]} {word}"
        return Problem(word, 0, "is a flag of a task", fix)
    known = {flag.strip("-"): flag for flag in (*flags, *_flags_of(task))}
    matches = difflib.get_close_matches(word.strip("-"), known, n=1, cutoff=_LIKENESS)
    fix = f'Did you mean "{known[matches[0]]}"?' if matches else f"{program} --help {task}".rstrip()
    return Problem(word, 0, "is not known", fix)


def _unknown_task(word: str, task: str, program: str) -> Problem:
    if task == _READS_FILES and Path(word).exists():
        return Problem(word, 0, "is not a task", shell_join([program, task, "--from", word]))
    matches = difflib.get_close_matches(word.removeprefix("image."), _NAMES, n=1)
    fix = f'Did you mean "{matches[0]}"?' if matches else f"Tasks: {', '.join(sorted(_NAMES))}"
    return Problem(word, 0, "is not a task", fix)


def _flags_of(task: str) -> list[str]:
    return [f"--{flag}" for spec in TASKS if spec.name == task for flag in spec.flags]
