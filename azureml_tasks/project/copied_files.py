"""The files of the project that go into the build context, checked one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE, spell
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.context.lfs_pointer import LARGEST, is_pointer
from azureml_tasks.project.paths import files_below, kind_of, leaves
from azureml_tasks.project.walk import LARGE, walked
from azureml_tasks.requirements.files import RequirementsTree, read_tree
from azureml_tasks.requirements.kinds import lock_kind
from azureml_tasks.text_file import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.project.code import Code
    from azureml_tasks.project.paths import ProjectReader


def requirements(reader: ProjectReader) -> list[RequirementsTree]:
    """Read the requirements files of the table with all that they include, and report what is wrong with them."""
    problems = reader.problems
    trees: list[RequirementsTree] = []
    for index, path in problems.valid_items("requirements", reader.settings.requirements):
        place: Place = ("requirements", index)
        place = place if problems.is_written(place) else ("requirements",)
        root = reader.check_path(place, path, "file")
        if not root:
            continue
        if lock_kind(path):
            from azureml_tasks.project.lock_files import read_lock  # few tables need its libraries

            lock, in_lock = read_lock(reader, root)
            reader.extend(in_lock)
            trees += [lock] if lock else []
            continue
        tree, in_files = read_tree(root, lambda name: requirements_text(reader, name), folder=reader.folder)
        reader.extend_named(place, root, in_files)
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
    problems, path = reader.problems, reader.name(tree.files[0])
    for file in files:
        reader.refuse_excluded(file, "a requirements file")
    for wheel in tree.wheels:
        reader.refuse_excluded(wheel, "a wheel")
        kind, name = kind_of(reader.root / wheel), reader.name(wheel)
        if kind and leaves(reader.root, reader.root / wheel):
            what = f"{path} names the wheel {name}, a link that leaves the project"
            problems.add(place, what, "Copy it into the project.")
        elif kind != "file":
            what = f"{path} names the wheel {name}, which does not exist"
            problems.add(place, what, f"Make it: pip wheel --no-deps --wheel-dir {Path(name).parent} NAME")
        elif _is_pointer(reader.root / wheel):
            reader.refuse_lfs_pointers(place, [wheel])


def _is_pointer(file: Path) -> bool:
    return file.stat().st_size <= LARGEST and is_pointer(file.read_bytes())


def requirements_text(reader: ProjectReader, path: str) -> str | None:
    """Return the text of a requirements file; None if it is not a file of the project."""
    file = reader.root / path
    if kind_of(file) != "file" or leaves(reader.root, file):
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
    given = reader.settings.model
    model = reader.path(given) if given else ""
    own = (".azureml-image", FILE, "tasks.py")
    packages = reader.settings.packages_folder
    claimed = {model: "model"} if model else {}
    if packages:
        claimed[reader.path(packages)] = "packages-folder"
    left_out = frozenset((*claimed, *map(reader.path, own)))
    _refuse_claimed_entry_script(reader, code, {**dict.fromkeys(left_out, ""), **claimed})
    members = [ContextFile(name="code/")] if code.folders and "" not in code.folders.by_name else []
    for index, (name, top) in enumerate(code.folders.by_name.items()):
        place: Place = ("code", index) if name else ("code",)
        members += walked(
            reader,
            place,
            top,
            f"code/{name}".rstrip("/"),
            left_out=left_out,
            largest=LARGE,
            tools_folder=reader.folder,
        )
    if (
        given
        and not reader.problems.is_bad(("model",))
        and reader.check_path(("model",), given, "file or folder")
    ):
        members += _model(reader, model)
    return tuple(sorted(members))


def _refuse_claimed_entry_script(reader: ProjectReader, code: Code, left_out: Mapping[str, str]) -> None:
    """Report an entry script in a path that is not copied with the code.

    Args:
        reader: of the project.
        code: with the entry script.
        left_out: these paths, each with the key that names it; "" if no key does.
    """
    script = code.folders.source_of(code.entry_script) if code.entry_script else ""
    for path, key in left_out.items():
        if script and Path(script).is_relative_to(path):
            what = f"the entry script {reader.name(script)} is in {reader.name(path)}"
            is_written = reader.problems.is_written(("entry-script",))
            place = (key,) if key and not is_written else ("entry-script",)
            by = f"{spell((key,))} names and which " if key else ""
            fix = f"Name another folder under {key}, or move the script." if key else "Move it."
            reader.problems.add(place, f"{what}, which {by}is not part of the code", fix)


def _model(reader: ProjectReader, model: str) -> list[ContextFile]:
    top = reader.root / model
    if top.is_file():
        excluded = reader.refuse_excluded(model, "all of the model")
        return [] if excluded else walked(reader, ("model",), model, "model")
    members = walked(reader, ("model",), model, "model")
    if all(member.name.endswith("/") for member in members) and not reader.problems.is_bad(("model",)):
        first = next((path.relative_to(reader.root).as_posix() for path in files_below(top)), "")
        if not first or not reader.refuse_excluded(first, "all of the model"):
            what = f"tool.azureml-image.model: {reader.name(model)} holds no file"
            reader.problems.add(("model",), what, "Leave the key out where Azure ML mounts the model.")
    return members
