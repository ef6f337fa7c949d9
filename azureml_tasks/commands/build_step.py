"""A step that builds, with the log of all that is printed in it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE
from azureml_tasks.config.reader import read
from azureml_tasks.engines.step_error import place_in
from azureml_tasks.errors import AzuremlTasksError, BuildError, SettingsError, SmokeTestError
from azureml_tasks.planning.dockerfile import shell_instruction
from azureml_tasks.state.step_log import build_log
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azureml_tasks.commands.run_context import RunContext

_WITHOUT_LINE = re.compile(r"^( *pyproject\.toml): (.+)$", re.MULTILINE)
"""A requirement of pyproject.toml in what our script says; the file is not in the build context, so it has no lines."""


@contextmanager
def build_step(run: RunContext, title: str, *, announced: bool = False) -> Iterator[None]:
    """Show the block as a step, see `Reporter.step`; keep its whole log, and name that in an error that it explains."""
    with build_log(run.records) as log:
        try:
            with run.reporter.step(title, log=log, announced=announced):
                yield
        except AzuremlTasksError as error:
            if error.log_says_why or isinstance(error, SmokeTestError):
                log.flush()
                error.log = log.path
            if isinstance(error, BuildError):
                _name_place(error, run)
            raise


def _name_place(error: BuildError, run: RunContext) -> None:
    """Name the line of pyproject.toml that has the requirement or the command which failed, if it is found."""
    if _WITHOUT_LINE.search(error.said):
        error.said = with_lines(error.said, run.folder / FILE)
        error.file, error.line = place_in(error.said)
    elif line := _line_of_command(error.instruction, run):
        error.file, error.line = FILE, line
        error.what = error.what.replace(": ", f" ({FILE}:{line}): ", 1)


def _line_of_command(instruction: str, run: RunContext) -> int:
    """Return the line of the shell command of the table that *instruction* runs; 0 if none or several are found."""
    try:
        settings, problems = read(read_text(run.folder / FILE), run.overrides, run.image)
    except (FileNotFoundError, UnreadableFile, SettingsError):  # It has changed since the build began.
        return 0
    commands = [shell_instruction(each.command) for each in settings.run]
    if commands.count(instruction) != 1:
        return 0
    return problems.line_of(("run", commands.index(instruction), "command"))


def with_lines(said: str, file: Path) -> str:
    """Return *said* with the lines of the requirements that it names as those of *file*, where they are found."""
    try:
        lines = read_text(file).splitlines()
    except (
        FileNotFoundError,
        UnreadableFile,
    ):  # It has changed since the build began, and *said* is still true.
        return said

    def placed(match: re.Match[str]) -> str:
        written = re.compile(rf"[\"']{re.escape(match[2])}(?![\w.-])")
        number = next((number for number, line in enumerate(lines, 1) if written.search(line)), 0)
        return f"{match[1]}:{number}: {match[2]}" if number else match[0]

    return _WITHOUT_LINE.sub(placed, said)
