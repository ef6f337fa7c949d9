"""What a table lacks to serve: an entry script in its code, or code for what needs some."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from azureml_tasks.image_reference import expand_base
from azureml_tasks.migration.questions import Choice, Question
from azureml_tasks.migration.search_rules import code_rules
from azureml_tasks.project.base_images import ENTRY_SCRIPT, brings_script
from azureml_tasks.project.script_search import entry_scripts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.surroundings import Surroundings

DEFAULT_CODE = "code"
"""The folder that is copied without being named, if it exists."""
_SCRIPTS = ("score.py", "main.py")
"""Scripts that serve without being named."""
_NEED_CODE: Mapping[Place, str] = {
    ("model",): "loads it",
    ("model-name",): "loads it",
    ("smoke-test", "request"): "answers it",
    ("smoke-test", "requests"): "answers it",
    ("smoke-test", "mini-batch"): "takes it",
}
"""Keys that a check refuses if nothing in the image can answer, see `project.answering_code`."""


def copies_unnamed_code(table: Mapping[str, Any], surroundings: Surroundings) -> bool:
    """Return whether *table* copies the folder `code` although it does not name it."""
    is_named = "code" in table or "dockerfile" in table
    return not is_named and surroundings.locate(DEFAULT_CODE).kind == "folder"


def scripts_to_choose(table: Mapping[str, Any], surroundings: Surroundings) -> list[str]:
    """Return the scripts of the table's code if the table has to name one of them, else an empty sequence.

    Returns:
        Paths relative to the project's folder.
    """
    code = DEFAULT_CODE if copies_unnamed_code(table, surroundings) else table.get("code")
    is_chosen = "entry-script" in table or ENTRY_SCRIPT in table.get("env", {})
    if not isinstance(code, str) or is_chosen or surroundings.locate(code).kind != "folder":
        return []
    if any(surroundings.locate(posixpath.join(code, script)).kind == "file" for script in _SCRIPTS):
        return []
    if code.startswith(".."):
        root = (surroundings.folder / code).resolve()
        return [posixpath.join(code, path) for path in entry_scripts(root, code_rules(root))]
    folder = posixpath.normpath(code)
    return entry_scripts(
        surroundings.folder, code_rules(surroundings.folder), "" if folder == "." else folder
    )


def script_question(scripts: list[str]) -> Question:
    """Return which of *scripts* answers."""
    return Question(
        subject="entry-script",
        what=f"{len(scripts)} scripts of the code define init() and run(), and none is named",
        asks="Which one answers?",
        choices=tuple(Choice(script, ("--from", script)) for script in scripts),
    )


def without_code(table: Mapping[str, Any], surroundings: Surroundings) -> dict[Place, str]:
    """Return the places of values that a check of *table* refuses, as no code uses them, each with the reason."""
    has_code = bool({"code", "dockerfile"} & table.keys()) or copies_unnamed_code(table, surroundings)
    names_script = ENTRY_SCRIPT in {**table.get("env", {}), **table.get("smoke-test", {}).get("env", {})}
    base = expand_base(str(table.get("base", "")))
    brings_none = "server" in table or (base is not None and brings_script(base) is False)
    if has_code or names_script or not brings_none:
        return {}
    return {
        place: f"the image has no script that {use}: name one, and this, by --from"
        for place, use in _NEED_CODE.items()
    }
