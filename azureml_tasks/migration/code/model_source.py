"""A model, a file or a folder, that becomes a part of the image."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from azureml_tasks.config.validators import MODEL_NAME
from azureml_tasks.migration.kinds import NoSource
from azureml_tasks.migration.line_ranges import Fate
from azureml_tasks.migration.reading import Outcome, Reading, SourceLine, Value
from azureml_tasks.migration.search_rules import code_rules, default_rules
from azureml_tasks.project.entry_script import LARGEST_SCRIPT
from azureml_tasks.project.joined_names import joined_names
from azureml_tasks.project.paths import kind_of
from azureml_tasks.project.script_search import entry_scripts
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings

_MOUNTS = "Azure ML mounts a registered folder under its own name"


def read_model(source: Source, surroundings: Surroundings) -> Reading:
    """Return the keys that copy a model into the image.

    `model` copies what is in a folder. A registered folder lies under its own name in AZUREML_MODEL_DIR, which
    `model-name` repeats: whether the scripts of the project expect that is seen in the names that they join.
    """
    if no_model := no_model_because(source, surroundings):
        fate = Fate(Outcome.LEFT_OVER, f"it {no_model.what}")
        return _reading(source, (), fate)
    values = [Value(place=("model",), value=source.name, file=source.name, line=0)]
    why = f'model = "{source.name}"'
    if source.path.is_dir() and _is_under_its_name(source, surroundings):
        name = posixpath.basename(source.name)
        values.append(Value(place=("model-name",), value=name, file=source.name, line=0))
        why += f', and model-name = "{name}": {_MOUNTS}'
    return _reading(source, values, Fate(Outcome.KEY, why))


def _reading(source: Source, values: Sequence[Value], fate: Fate) -> Reading:
    """Return the reading of a model, which has no lines but an entry for all of it."""
    entry = SourceLine(line=0, end=0, text=source.name, outcome=fate.outcome, why=fate.why)
    return Reading(source=source, values=tuple(values), lines=(entry,))


def no_model_because(source: Source, surroundings: Surroundings) -> NoSource | None:
    """Return what a file or folder is if it is no model; None if it may be one."""
    kind = surroundings.locate(source.name).kind
    if kind == "outside":
        return NoSource("is outside of the root", "Copy it into the project.")
    if kind not in ("file", "folder"):
        return NoSource("is neither a file nor a folder", "Correct its name.")
    if kind == "folder" and surroundings.folder.is_relative_to(source.path):
        return NoSource(
            "is the project, not a model", "Leave out --from: all of the folder is searched then."
        )
    if kind == "folder" and (scripts := entry_scripts(source.path, default_rules())):
        script = posixpath.join(source.name, scripts[0])
        return NoSource(f"holds the script {script}, so it is no model", f"Name the script: --from {script}")
    return None


def _is_under_its_name(source: Source, surroundings: Surroundings) -> bool:
    """Return whether the scripts look for the folder under its own name, or do not tell."""
    name = posixpath.basename(source.name)
    if MODEL_NAME.error(name):
        return False
    below = [names for path in _scripts(surroundings) if (names := _joined(surroundings, path))]
    for names in below:
        if any(each.partition("/")[0] == name and _exists(source, each.partition("/")[2]) for each in names):
            return True
        if any(_exists(source, each) for each in names):
            return False
    return True


def _scripts(surroundings: Surroundings) -> list[str]:
    return entry_scripts(surroundings.folder, code_rules(surroundings.folder))


def _joined(surroundings: Surroundings, path: str) -> list[str]:
    """Return what a script joins to AZUREML_MODEL_DIR."""
    try:
        return [each.path for each in joined_names(read_bytes(surroundings.folder / path, LARGEST_SCRIPT))]
    except (FileNotFoundError, UnreadableFile):
        return []


def _exists(source: Source, below: str) -> bool:
    """Return whether the model has *below*; a path that leaves it is none of it."""
    path = posixpath.normpath(below)
    return not path.startswith(("..", "/")) and bool(kind_of(source.path / path))
