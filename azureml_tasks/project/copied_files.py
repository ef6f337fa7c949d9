"""The files of the project that go into the build context, checked one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.lfs_pointer import LARGEST, is_pointer
from azureml_tasks.project.paths import files_below, kind_of
from azureml_tasks.project.walk import Walk
from azureml_tasks.requirements.files import RequirementsTree, read_tree
from azureml_tasks.requirements.kinds import lock_kind
from azureml_tasks.text_file import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.project.code import Code
    from azureml_tasks.project.paths import ProjectReader

_LARGE = 100 * 1000 * 1000
"""Bytes: a larger file under `code` is refused as a model in the wrong place."""


def requirements(reader: ProjectReader) -> list[RequirementsTree]:
    """Read the requirements files of the table with all that they include, and report what is wrong with them."""
    problems = reader.problems
    trees: list[RequirementsTree] = []
    for index, path in problems.valid_items("requirements", reader.settings.requirements):
        place: Place = ("requirements", index)
        place = place if problems.is_written(place) else ("requirements",)
        if not reader.check_path(place, path, "file"):
            continue
        if lock_kind(path):
            from azureml_tasks.project.lock_files import read_lock  # few tables need its libraries

            lock, in_lock = read_lock(reader, Path(path).as_posix())
            problems.extend(in_lock)
            trees += [lock] if lock else []
            continue
        tree, in_files = read_tree(Path(path).as_posix(), lambda name: requirements_text(reader, name))
        problems.extend(in_files)
        trees.append(tree)
        refuse_missing_files(reader, place, tree, tree.files)
    return trees


def refuse_missing_files(
    reader: ProjectReader, place: Place, tree: RequirementsTree, files: Sequence[str]
) -> None:
    """Report files that a requirements file needs and the build would not have.

    Args:
        reader: of the project.
        place: of the key that names the requirements file.
        tree: the requirements file with those that it includes.
        files: those of the tree that are copied.
    """
    problems, path = reader.problems, tree.files[0]
    for file in files:
        reader.refuse_excluded(file, "a requirements file")
    for wheel in tree.wheels:
        reader.refuse_excluded(wheel, "a wheel")
        kind = kind_of(reader.root / wheel)
        if kind and not (reader.root / wheel).resolve().is_relative_to(reader.root):
            what = f"{path} names the wheel {wheel}, a link that leaves the project"
            problems.add(place, what, "Copy it into the project.")
        elif kind != "file":
            what = f"{path} names the wheel {wheel}, which does not exist"
            problems.add(place, what, f"Make it: pip wheel --no-deps --wheel-dir {Path(wheel).parent} NAME")
        elif _is_pointer(reader.root / wheel):
            reader.refuse_lfs_pointers(place, [wheel])


def _is_pointer(file: Path) -> bool:
    return file.stat().st_size <= LARGEST and is_pointer(file.read_bytes())


def requirements_text(reader: ProjectReader, path: str) -> str | None:
    """Return the text of a requirements file; None if it is not a file of the project."""
    file = reader.root / path
    if kind_of(file) != "file" or not file.resolve().is_relative_to(reader.root):
        return None
    return read_text(file, coding_lines=True)


def python_file(reader: ProjectReader, path: str) -> ContextFile:
    """Return the member of the context for a requirements file or a wheel."""
    file = reader.root / path
    is_file = kind_of(file) == "file"
    file, size = (file.resolve(), file.stat().st_size) if is_file else (file, 0)
    return ContextFile(name=f"python/project/{path}", source=str(file), size=size)


def code_and_model(reader: ProjectReader, code: Code) -> tuple[ContextFile, ...]:
    """Return the members of the context for code and model, sorted by name, and report what is wrong with them."""
    model = reader.settings.model or ""
    members: list[ContextFile] = []
    if code.folder:
        claimed = [model, *([".azureml-image", FILE, "tasks.py"] if code.folder == "." else [])]
        left_out = frozenset(Path(path).as_posix() for path in claimed if path)
        _refuse_claimed_entry_script(reader, code, left_out)
        members += _walk(reader, "code", code.folder, left_out, _LARGE)
    if (
        model
        and not reader.problems.is_bad(("model",))
        and reader.check_path(("model",), model, "file or folder")
    ):
        members += _model(reader, Path(model).as_posix())
    return tuple(sorted(members))


def _refuse_claimed_entry_script(reader: ProjectReader, code: Code, left_out: frozenset[str]) -> None:
    path = Path(code.folder) / code.entry_script
    for claimed in left_out:
        if code.entry_script and path.is_relative_to(claimed):
            what = f"the entry script {path.as_posix()} is in {claimed}, which is not part of the code"
            reader.problems.add(("entry-script",), what, "Move it.")


def _model(reader: ProjectReader, model: str) -> list[ContextFile]:
    top = reader.root / model
    if top.is_file():
        excluded = reader.refuse_excluded(model, "all of the model")
        return [] if excluded else _walk(reader, "model", model, frozenset(), None)
    members = _walk(reader, "model", model, frozenset(), None)
    if all(member.name.endswith("/") for member in members) and not reader.problems.is_bad(("model",)):
        first = next((path.relative_to(reader.root).as_posix() for path in files_below(top)), "")
        if not first or not reader.refuse_excluded(first, "all of the model"):
            what = f"tool.azureml-image.model: {model} holds no file"
            reader.problems.add(("model",), what, "Leave the key out where Azure ML mounts the model.")
    return members


def _walk(
    reader: ProjectReader, key: str, top: str, left_out: frozenset[str], largest: int | None
) -> list[ContextFile]:
    walk = Walk(
        project=reader.root,
        top=top,
        into=key,
        matcher=reader.matcher,
        hashes=reader.hashes,
        left_out=left_out,
        problem=lambda what, fix: reader.problems.add((key,), what, fix),
        largest=largest,
    )
    members = walk.files()
    if walk.pointers:
        reader.refuse_lfs_pointers((key,), walk.pointers)
    return members if members and members[0].name == f"{key}/" else [ContextFile(name=f"{key}/"), *members]
