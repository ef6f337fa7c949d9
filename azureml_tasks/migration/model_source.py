"""A model, a file or a folder, that becomes a part of the image."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from azureml_tasks.config.validators import MODEL_NAME
from azureml_tasks.migration.line_ranges import Fate, whole_text
from azureml_tasks.migration.reading import Outcome, Reading, Value
from azureml_tasks.migration.search_rules import code_rules, default_rules
from azureml_tasks.project.entry_script import LARGEST_SCRIPT
from azureml_tasks.project.joined_names import joined_names
from azureml_tasks.project.paths import kind_of
from azureml_tasks.project.script_search import entry_scripts
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings

_MOUNTS = "Azure ML mounts a registered folder under its own name"


def read_model(source: Source, surroundings: Surroundings) -> Reading:
    """Return the keys that copy a model into the image.

    `model` copies what is in a folder. A registered folder lies under its own name in AZUREML_MODEL_DIR, which
    `model-name` repeats: whether the scripts of the project expect that is seen in the names that they join.
    """
    if why_not := _refusal(source, surroundings):
        return Reading(source=source, lines=whole_text("", Fate(Outcome.LEFT_OVER, why_not), source.name))
    values = [Value(place=("model",), value=source.name, file=source.name, line=1)]
    why = f'model = "{source.name}"'
    if source.path.is_dir() and _is_under_its_name(source, surroundings):
        name = posixpath.basename(source.name)
        values.append(Value(place=("model-name",), value=name, file=source.name, line=1))
        why += f', and model-name = "{name}": {_MOUNTS}'
    return Reading(
        source=source, values=tuple(values), lines=whole_text("", Fate(Outcome.KEY, why), source.name)
    )


def _refusal(source: Source, surroundings: Surroundings) -> str:
    """Return why a file or folder is no model; "" if it may be one."""
    kind = surroundings.locate(source.name).kind
    if kind == "outside":
        return "it is outside of the root"
    if kind not in ("file", "folder"):
        return "it is neither a file nor a folder"
    if kind == "folder" and surroundings.folder.is_relative_to(source.path):
        return "it is the project, not a model: without --from, all of it is searched"
    if kind == "folder" and (scripts := entry_scripts(source.path, default_rules())):
        return f"it holds the script {source.name}/{scripts[0]}, so it is no model: name the script"
    return ""


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
