"""Lock files among the requirements of the table: `pylock.toml` is read here, `uv.lock` is exported by uv.

Looking runs nothing of the project, so uv gets no setting of it: `uv export --frozen` reads uv.lock and pyproject.toml,
resolves nothing and builds nothing (https://docs.astral.sh/uv/reference/cli/#uv-export).
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import toml_document
from azureml_tasks.config.problems import FILE
from azureml_tasks.errors import FileProblem, Problem, SettingsError
from azureml_tasks.process import MissingProgram, SlowProgram, capture
from azureml_tasks.project.paths import leaves
from azureml_tasks.requirements.kinds import PYLOCK, lock_kind
from azureml_tasks.requirements.lines import normalize_name, shown
from azureml_tasks.requirements.lock_requirement import Selection
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.project.paths import ProjectReader
    from azureml_tasks.requirements.files import RequirementsTree

_EXPORT = (
    *("uv", "export", "--frozen", "--offline", "--no-default-groups", "--no-emit-project"),
    *("--no-header", "--no-annotate", "--no-config", "--no-cache", "--no-progress", "--color=never"),
)
_EXPORT_COMMAND = "uv export --frozen --no-default-groups --no-emit-project --output-file requirements.txt"
"""For the user to paste; its result is a requirements file."""
_SECONDS = 60.0
"""An export of a thousand packages takes less than one."""


def read_lock(reader: ProjectReader, path: str) -> tuple[RequirementsTree | None, list[Problem]]:
    """Return what a lock file installs, None if it cannot be read, and what is wrong with it.

    Args:
        reader: of the project.
        path: of a file whose name is that of a lock file, relative to the root.
    """
    try:
        text = read_text(reader.root / path)
    except UnreadableFile as error:
        return None, [FileProblem(path, 0, error.why, error.fix)]
    selection = _selection(reader)
    if lock_kind(path) == PYLOCK:
        from azureml_tasks.requirements.pylock import read_pylock  # few tables need its libraries

        return read_pylock(path, text, selection)
    try:
        return _uv(reader, path, text, selection)
    except SettingsError as error:
        return None, list(error.problems)


def _selection(reader: ProjectReader) -> Selection:
    settings, problems = reader.settings, reader.problems
    extras = problems.valid_items("extras", settings.extras)
    groups = problems.valid_items("dependency-groups", settings.dependency_groups)
    return Selection(
        project=_project_name(problems.document),
        extras=tuple(normalize_name(name) for _, name in extras),
        groups=tuple(normalize_name(name) for _, name in groups),
        code=tuple(path for value in settings.code if (path := reader.path(value))),
        platform=settings.platform,
        names_indexes="pip-conf" not in settings.secrets,
    )


def _project_name(document: Mapping[str, Any]) -> str:
    project = document.get("project")
    name = project.get("name") if isinstance(project, dict) else None
    return normalize_name(name) if isinstance(name, str) else ""


def _uv(
    reader: ProjectReader, path: str, text: str, selection: Selection
) -> tuple[RequirementsTree | None, list[Problem]]:
    from azureml_tasks.requirements.uv_lock import has_project, misfits, read_export

    lock = toml_document.parse(text, path)
    folder, document = posixpath.dirname(path) or ".", reader.problems.document
    # The lock file of a workspace is that of each project in it: https://docs.astral.sh/uv/concepts/projects/workspaces/
    is_above = folder != reader.folder and PurePosixPath(reader.folder).is_relative_to(folder)
    is_own = folder == reader.folder or (is_above and has_project(lock, selection.project))
    if not is_own:  # It locks another project, with other groups and extras.
        document = _document(reader, posixpath.normpath(f"{folder}/{FILE}"))
        selection = selection._replace(project=_project_name(document), extras=(), groups=())
    if wrong := misfits(lock, document, selection):
        lock_again = "uv lock" if is_own else f"uv lock --project {reader.name(folder)}"
        return None, [FileProblem(path, 0, what, lock_again) for what in wrong]
    export, problem = _exported(reader, reader.folder if is_own else folder, selection)
    if problem:
        return None, [FileProblem(path, 0, *problem)]
    tree, problems = read_export(path, export, lock, selection, text=text, is_own=is_own)
    return tree, problems


def _document(reader: ProjectReader, path: str) -> dict[str, Any]:
    """Return the pyproject.toml beside a lock file.

    Raises:
        SettingsError: it cannot be read.
    """
    file = reader.root / path
    try:
        if leaves(reader.root, file):
            fix = "Copy it into the project."
            raise SettingsError([FileProblem(path, 0, "is a link that leaves the project", fix)])
        return toml_document.parse(read_text(file), path)
    except FileNotFoundError:
        fix = "Name the uv.lock beside the pyproject.toml that it locks."
        raise SettingsError(
            [FileProblem(path, 0, "does not exist, so uv cannot export uv.lock", fix)]
        ) from None
    except UnreadableFile as error:
        raise SettingsError([FileProblem(path, 0, error.why, error.fix)]) from error


def _exported(reader: ProjectReader, folder: str, selection: Selection) -> tuple[str, tuple[str, str] | None]:
    """Return uv's export for the project in *folder*, or why there is none and the next step."""
    parts = [f"--extra={name}" for name in selection.extras] + [
        f"--group={name}" for name in selection.groups
    ]
    name = reader.name(folder)
    command = " ".join([_EXPORT_COMMAND, *parts, *([f"--project={name}"] if name != "." else [])])
    try:
        done = capture(
            [*_EXPORT, *parts, "--project", folder], cwd=reader.root, env=_environment(), timeout=_SECONDS
        )
    except MissingProgram:
        fix = f"Install uv: https://docs.astral.sh/uv/\nor, where uv is, export it and name that file: {command}"
        return "", ("needs uv, which is not on PATH", fix)
    except SlowProgram:
        return "", (f"was not exported by uv within {_SECONDS:.0f} seconds", command)
    if done.code:
        said = shown(" ".join(done.stderr.split())) or f"exit code {done.code}"
        return "", (f"cannot be exported: uv said: {said}", command)
    return done.stdout, None


def _environment() -> dict[str, str | None]:
    """Return what differs for uv: no setting of this machine, and no environment of the project, which has a Python."""
    settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("UV_")}
    return {
        **settings,
        "VIRTUAL_ENV": None,
        "UV_PROJECT_ENVIRONMENT": str(Path(os.devnull, "none")),
        "UV_PYTHON_DOWNLOADS": "never",
    }
