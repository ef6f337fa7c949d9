"""Which files of the project go into the build context, each looked at before it is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.project.walk import Walk
from azureml_tasks.requirements.files import RequirementsTree, read_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.project.code import Code
    from azureml_tasks.project.model import BuildSecret
    from azureml_tasks.project.paths import ProjectPaths

_LARGE = 100 * 1000 * 1000
"""Bytes: a larger file under `code` is refused as a model in the wrong place."""

__all__ = ["carried", "code_and_model", "refuse_copied_secrets", "requirements"]


def requirements(survey: ProjectPaths) -> list[RequirementsTree]:
    """The requirements files of the table with all that they include; what is wrong is noted."""
    problems = survey.problems
    trees: list[RequirementsTree] = []
    for index, path in problems.valid_items("requirements", survey.settings.requirements):
        place: Place = ("requirements", index)
        place = place if problems.is_written(place) else ("requirements",)
        if not survey.existing(place, path, "file"):
            continue
        tree, in_files = read_tree(Path(path).as_posix(), lambda name: _text(survey, name))
        problems.extend(in_files)
        trees.append(tree)
        for file in tree.files:
            survey.refuse_excluded(file, "a requirements file")
        for wheel in tree.wheels:
            survey.refuse_excluded(wheel, "a wheel")
            if not (survey.root / wheel).resolve().is_relative_to(survey.root):
                what = f"{path} names the wheel {wheel}, a link that leaves the project"
                problems.add(place, what, "Copy it into the project.")
            elif not (survey.root / wheel).is_file():
                what = f"{path} names the wheel {wheel}, which does not exist"
                problems.add(
                    place, what, f"Make it: pip wheel --no-deps --wheel-dir {Path(wheel).parent} NAME"
                )
    return trees


def _text(survey: ProjectPaths, path: str) -> str | None:
    file = survey.root / path
    if not file.is_file() or not file.resolve().is_relative_to(survey.root):
        return None
    return file.read_text(encoding="utf-8", errors="replace")


def carried(survey: ProjectPaths, path: str) -> ContextFile:
    """The member of the context for a requirements file or a wheel."""
    file = (survey.root / path).resolve()
    size = file.stat().st_size if file.is_file() else 0
    return ContextFile(name=f"python/project/{path}", source=str(file), size=size)


def code_and_model(survey: ProjectPaths, code: Code) -> tuple[ContextFile, ...]:
    """Every member of the context that code and model give, sorted by name; what is wrong is noted."""
    model = survey.settings.model or ""
    members: list[ContextFile] = []
    if code.folder:
        claimed = [model, *([".azureml-image", FILE, "tasks.py"] if code.folder == "." else [])]
        left_out = frozenset(Path(path).as_posix() for path in claimed if path)
        _refuse_claimed_entry_script(survey, code, left_out)
        members += _walk(survey, "code", code.folder, left_out, _LARGE)
    if (
        model
        and not survey.problems.is_bad(("model",))
        and survey.existing(("model",), model, "file or folder")
    ):
        members += _model(survey, Path(model).as_posix())
    return tuple(sorted(members))


def refuse_copied_secrets(
    survey: ProjectPaths, secrets: Sequence[BuildSecret], members: Sequence[ContextFile]
) -> None:
    """Note where the file of a secret of the build is a member of the context as well."""
    kept = {os.path.realpath(secret.file): secret.id for secret in secrets if secret.file}
    for member in members if kept else ():
        if member.source and (name := kept.get(member.source)):
            path = Path(os.path.relpath(member.source, survey.root)).as_posix()
            what = f"{spell(('secrets', name))} is {path}, which would be copied into the image"
            survey.problems.add(("secrets", name), what, f'Leave it out: exclude = ["{path}"]')


def _refuse_claimed_entry_script(survey: ProjectPaths, code: Code, left_out: frozenset[str]) -> None:
    path = Path(code.folder) / code.entry_script
    for claimed in left_out:
        if code.entry_script and path.is_relative_to(claimed):
            what = f"the entry script {path.as_posix()} lies in {claimed}, which is left out of the code"
            survey.problems.add(("entry-script",), what, "Move it.")


def _model(survey: ProjectPaths, model: str) -> list[ContextFile]:
    top = survey.root / model
    if top.is_file():
        excluded = survey.refuse_excluded(model, "all of the model")
        return [] if excluded else _walk(survey, "model", model, frozenset(), None)
    members = _walk(survey, "model", model, frozenset(), None)
    if all(member.name.endswith("/") for member in members) and not survey.problems.is_bad(("model",)):
        inside = (path for path in sorted(top.rglob("*")) if path.is_file())
        first = next((path.relative_to(survey.root).as_posix() for path in inside), "")
        if not first or not survey.refuse_excluded(first, "all of the model"):
            what = f"tool.azureml-image.model: {model} holds no file"
            survey.problems.add(("model",), what, "Leave the key out where Azure ML mounts the model.")
    return members


def _walk(
    survey: ProjectPaths, key: str, top: str, left_out: frozenset[str], largest: int | None
) -> list[ContextFile]:
    walk = Walk(
        project=survey.root,
        top=top,
        into=key,
        matcher=survey.matcher,
        hashes=survey.hashes,
        left_out=left_out,
        problem=lambda what, fix: survey.problems.add((key,), what, fix),
        largest=largest,
    )
    members = walk.files()
    return members if members and members[0].name == f"{key}/" else [ContextFile(name=f"{key}/"), *members]
