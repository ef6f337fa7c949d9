"""The folder that AZUREML_MODEL_DIR names: what will be in it, and what the entry script looks for there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.config.problems import spell
from azureml_tasks.config.toml_messages import as_written
from azureml_tasks.notice import Notice
from azureml_tasks.project.joined_names import joined_names
from azureml_tasks.project.paths import kind_of, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.project.paths import ProjectReader

_VARIABLE = "AZUREML_MODEL_DIR"
_OTHER_WAY = re.compile(r"AZUREML_MODEL_DIR|azureml-models")
"""What a command names that may put files into the folder."""
_MOST = 5
"""Warnings about one script."""


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """What the folder holds.

    Args:
        has: whether it has a file or a folder with this path in it.
        fix: what to write if it does not.
        where: who has it, such as "the image".
    """

    has: Callable[[str], bool]
    fix: Callable[[str], str]
    where: str


def refuse_name_without_model(reader: ProjectReader) -> None:
    """Report `model-name` if the table names no model."""
    written, place = reader.problems.is_written, ("model-name",)
    if written(place) and not (written(("model",)) or written(("smoke-test", "model"))):
        what = f"{spell(place)} is set, but neither model nor smoke-test.model is"
        reader.problems.add(place, what, 'Write: model = "model"')


def model_warnings(
    reader: ProjectReader, files: Sequence[ContextFile], script: str, source: bytes
) -> list[Notice]:
    """Return a warning for each name that the entry script joins to AZUREML_MODEL_DIR and that will not be there.

    Nothing is said if Azure ML mounts another model, if the table sets the variable, or if a command of the table may
    put files into the folder.

    Args:
        reader: of the project.
        files: members of the build context for code and model.
        script: the entry script, as messages name it.
        source: of the script.
    """
    folder = _model_folder(reader, files)
    if not folder:
        return []
    missing = {each.path: each.line for each in joined_names(source) if not folder.has(each.path)}
    outermost = [path for path in missing if missing.keys().isdisjoint(_parents(path))]
    return [
        Notice(
            "model-file-missing",
            f"joins {as_written(path)} to {_VARIABLE}, and {folder.where} has no such file or folder there",
            script,
            missing[path],
            folder.fix(path),
        )
        for path in outermost[:_MOST]
    ]


def _model_folder(reader: ProjectReader, files: Sequence[ContextFile]) -> ModelFolder | None:
    """Return what the folder will hold; None if that is not known."""
    settings = reader.settings
    if _VARIABLE in {**settings.env, **settings.smoke_test.env}:
        return None
    if any(_OTHER_WAY.search(run.command) for run in settings.run):
        return None
    if settings.model:
        return _baked(files, settings.model_name or "")
    if settings.smoke_test.model:
        return _mounted(reader.root, reader.path(settings.smoke_test.model), settings.smoke_test.model)
    return None


def _baked(files: Sequence[ContextFile], name: str) -> ModelFolder:
    names: set[str] = {name}
    links: set[str] = set()
    before = f"{name}/" if name else ""
    for member in files:
        for top, into in (("model/", before), ("code/azureml-models/", "")):
            if member.name.startswith(top):
                path = (into + member.name.removeprefix(top)).rstrip("/")
                names.add(path)
                links |= {path} if member.link else set()

    def has(path: str) -> bool:
        return path in names or not links.isdisjoint(_parents(path))

    def fix(path: str) -> str:
        first, _, rest = path.partition("/")
        may_be_name = has(rest) if rest else "." not in first
        if not name and may_be_name and not validators.MODEL_NAME.error(first):
            return f'Write: model-name = "{first}"'
        if name and before + path in names:
            return f'Join "{name}" first, or remove: model-name = "{name}"'
        return f"There will be: {_listing(names, before)}."

    return ModelFolder(has=has, fix=fix, where="the image")


def _listing(names: set[str], before: str) -> str:
    """Return a few of the names at the top of the model."""
    top = sorted(path for path in names if path.startswith(before) and "/" not in path[len(before) :])
    shown = [as_written(path) for path in top if path]
    return ", ".join([*shown[:_MOST], *(["…"] if len(shown) > _MOST else [])]) or "nothing"


def _mounted(root: Path, path: str, model: str) -> ModelFolder:
    """Return what Azure ML mounts of *path*, relative to *root*, which the table calls *model*."""
    top = root / path
    folder = top.name

    def kind(inside: str) -> str:
        file = top / inside if inside else top
        return "" if leaves(root, file) else kind_of(file)

    def has(path: str) -> bool:
        first, _, rest = path.partition("/")
        return first == folder and bool(kind(rest))

    def fix(path: str) -> str:
        if "/" not in path and kind(path) == "file":
            file = (Path(model) / path).as_posix()
            return f'Write: smoke-test.model = "{file}"\nor join "{folder}" first, as for a registered folder'
        if kind(path):
            return f'Join "{folder}" first: Azure ML mounts a registered folder under its own name.'
        return f"Azure ML mounts {model} as {_VARIABLE}/{folder}."

    return ModelFolder(has=has, fix=fix, where="the mounted model")


def _parents(path: str) -> Iterator[str]:
    """Return the paths around *path*, the outermost first."""
    parts = path.split("/")
    return ("/".join(parts[:length]) for length in range(1, len(parts)))
