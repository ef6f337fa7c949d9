"""What of a Dockerfile's copies is the model, in terms of the keys `model` and `model-name`."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.migration.dockerfile.copied_files import entries, is_below, is_tree, more_than
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.planning.plan import MODEL_DIR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.dockerfile.stage import Copied, Stage


def decide_model(stage: Stage, models: Sequence[Copied], model: str) -> bool:
    """Say what became of the model; return whether the table copies one."""
    if not models:
        return False
    first = models[0]
    root = model if is_below(first.target, model) else MODEL_DIR
    name = posixpath.relpath(first.target if is_tree(first) else posixpath.dirname(first.target), root)
    if "/" in name or (name != "." and validators.MODEL_NAME.error(name)):
        why = f"copies to {first.target}, and a model lies in {MODEL_DIR} or in one folder below it"
        stage.keep(first.line, why)
        return False
    if not is_tree(first) and posixpath.basename(first.target) != posixpath.basename(first.source.name):
        stage.keep(first.line, f"the model is renamed to {first.target}, and no key renames it")
        return False
    path, together = _model_path(models)
    stage.set(("model",), path, first.line)
    why = f"model = {json.dumps(path, ensure_ascii=False)}"
    if name != ".":
        stage.set(("model-name",), name, first.line)
        why += f", model-name = {json.dumps(name)}"
    differences = _model_differences(stage, root)
    for each in models:
        if each not in together:
            stage.keep(each.line, f"{json.dumps(each.source.name)} goes to {each.target}, beside the model")
            continue
        notes = [*differences, *_whole_folder(stage, path, together), *([each.note] if each.note else [])]
        outcome = Outcome.CHANGED if notes else Outcome.KEY
        stage.note(each.line, outcome, "; ".join([why, *notes]))
    return True


def _model_path(models: Sequence[Copied]) -> tuple[str, list[Copied]]:
    """Return the value of `model`, and what it copies: a file, a folder, or the folder of several files."""
    first = models[0]
    if is_tree(first):
        return first.source.name, [
            each
            for each in models
            if each.source.name
            == posixpath.normpath(
                posixpath.join(first.source.name, posixpath.relpath(each.target, first.target))
            )
        ]
    folder, place = posixpath.dirname(first.source.name), posixpath.dirname(first.target)
    together = [
        each
        for each in models
        if not is_tree(each)
        and posixpath.split(each.source.name) == (folder, posixpath.basename(each.target))
        and posixpath.dirname(each.target) == place
    ]
    return (
        (folder or ".", together)
        if len({each.source.name for each in together}) > 1
        else (first.source.name, together)
    )


def _whole_folder(stage: Stage, path: str, files: Sequence[Copied]) -> list[str]:
    """Return the difference if the folder *path* has more than the copied files."""
    copied = {posixpath.basename(each.source.name) for each in files if not is_tree(each)}
    if not copied or any(each.source.name == path for each in files):
        return []
    names = entries(stage, path)
    return [] if names is not None and set(names) == copied else [more_than(path)]


def _model_differences(stage: Stage, root: str) -> list[str]:
    if root != MODEL_DIR:
        return [f"in {MODEL_DIR}, which AZUREML_MODEL_DIR then names, not in {root}"]
    if "AZUREML_MODEL_DIR" not in stage.env:
        return [f"the image also sets AZUREML_MODEL_DIR to {MODEL_DIR}"]
    return []
