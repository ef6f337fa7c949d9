"""Errors and warnings as annotations of GitHub Actions and Azure Pipelines, at the file and line that they are about.

They are printed on stderr beside the plain message: stdout may be a file that another program reads. Both systems read
both: https://github.com/actions/runner, Runner.Worker/Handlers/ScriptHandler.cs;
https://github.com/microsoft/azure-pipelines-task-lib, node/toolrunner.ts.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from azureml_tasks.cli.streams import write
from azureml_tasks.errors import BuildError, LocatedProblem, SettingsError
from azureml_tasks.plain_text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.notice import Notice

_TITLE = "azureml-image"
_LONGEST = 4000
"""Characters of a message; the plain one in the log is whole."""
_LAST_LINES = 10  # of what another program said
_GITHUB_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_GITHUB_PROPERTY = {**_GITHUB_DATA, ":": "%3A", ",": "%2C"}
_AZURE_DATA = {"%": "%AZP25", "\r": "%0D", "\n": "%0A"}
_AZURE_PROPERTY = {**_AZURE_DATA, ";": "%3B", "]": "%5D"}
_printed: set[str] = set()
"""What this process has printed: two tasks of one run may say the same."""


class Annotation(NamedTuple):
    """What a CI system shows beside a line of a file, or for the step as a whole.

    Args:
        level: how bad it is.
        text: what is wrong; may have several lines.
        code: of the mistake or the warning.
        file: path relative to the current folder, or absolute; "" if it is about no file.
        line: 1-based; 0 for the whole file.
    """

    level: Literal["error", "warning"]
    text: str
    code: str
    file: str = ""
    line: int = 0


def annotate(annotations: Iterable[Annotation]) -> None:
    """Print each of *annotations* once, if this is GitHub Actions or Azure Pipelines; if that fails, go on.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-error-message,
    https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands#logissue-log-an-error-or-warning
    """
    as_command = _command_form()
    if not as_command:
        return
    for each in annotations:
        command = as_command(each, _path_in_repository(each.file) if each.file else "")
        if command not in _printed:
            _printed.add(command)
            with suppress(OSError):
                write(sys.stderr, f"{command}\n")


def annotations_of(error: AzuremlTasksError, project: Path | None = None) -> list[Annotation]:
    """Return an annotation for each mistake that *error* stands for.

    Args:
        error: which names files from the current folder and tasks as they are called here, see its methods.
        project: folder that the file of a failed build is relative to; None if it is not known.
    """
    if not isinstance(error, SettingsError):
        annotation = Annotation("error", brief_text(error), error.code)
        if isinstance(error, BuildError) and (file := error.file_in(project)):
            annotation = annotation._replace(file=str(file), line=error.line)
        return [annotation]
    return [
        Annotation("error", str(each), each.code, each.file, each.line)
        if isinstance(each, LocatedProblem)
        else Annotation("error", str(each), each.code)
        for each in error.problems
    ]


def brief_text(error: AzuremlTasksError) -> str:
    """Return what is wrong, the next step, and the last lines of what another program said."""
    last_lines = error.said.strip("\n").split("\n")[-_LAST_LINES:]
    return "\n".join(filter(None, [error.brief or error.what, error.next_step, *last_lines]))


def annotation_of(notice: Notice, spell: Callable[[str], str], project: Path | None) -> Annotation:
    """Return the annotation of a warning; without the folder of its *project* it names no file."""
    file = str(project / notice.file) if project and notice.file else ""
    return Annotation("warning", spell(str(notice)), notice.code, file, notice.line)


def _command_form() -> Callable[[Annotation, str], str] | None:
    """Return how the CI system of this process writes an annotation with its path; None if there is none.

    https://docs.github.com/actions/reference/variables-reference#default-environment-variables,
    https://learn.microsoft.com/azure/devops/pipelines/build/variables#system-variables
    """
    if os.environ.get("GITHUB_ACTIONS"):
        return _github
    return _azure if os.environ.get("TF_BUILD") else None


def _github(annotation: Annotation, path: str) -> str:
    """Return the workflow command; it is escaped as the runner reads it (Runner.Common/ActionCommand.cs)."""
    place = {"file": path, "line": str(annotation.line or "")} if path else {}
    properties = {**place, "title": f"{_TITLE} ({annotation.code})"}
    words = [
        f"{name}={_escaped(one_line(value), _GITHUB_PROPERTY)}" for name, value in properties.items() if value
    ]
    return f"::{annotation.level} {','.join(words)}::{_escaped(_message(annotation), _GITHUB_DATA)}"


def _azure(annotation: Annotation, path: str) -> str:
    """Return the logging command; it is escaped as its documentation says, section "Logging command format"."""
    place = {"sourcepath": path, "linenumber": str(annotation.line or "")} if path else {}
    properties = {"type": annotation.level, **place, "code": annotation.code}
    words = [
        f"{name}={_escaped(one_line(value), _AZURE_PROPERTY)}" for name, value in properties.items() if value
    ]
    return f"##vso[task.logissue {';'.join(words)}]{_escaped(_message(annotation), _AZURE_DATA)}"


def _message(annotation: Annotation) -> str:
    text = clean(annotation.text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _escaped(text: str, replacements: Mapping[str, str]) -> str:
    return "".join(replacements.get(character, character) for character in text)


def _path_in_repository(file: str) -> str:
    """Return the path of *file* in its repository, or in the folder of the checkout; "" if it is in neither."""
    from azureml_tasks.project.git import work_tree  # needed here alone

    path = Path(file).absolute()
    folder = path.parent.resolve()
    checkout = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("BUILD_SOURCESDIRECTORY")
    top = work_tree(folder) or (Path(checkout).resolve() if checkout else None)
    if not top or not folder.is_relative_to(top):
        return ""
    return (folder / path.name).relative_to(top).as_posix()
