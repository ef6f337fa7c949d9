"""The step that installs Python packages: the files of the build context that its script reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azureml_tasks.requirements.conda import CondaFile
    from azureml_tasks.requirements.files import RequirementsTree

FOLDER = "python"
"""The folder of these files in the build context; `in_image/install.py` reads it."""
SCRIPTS = ("download.py", "conflicts.py", "environment.py", "install.py")
"""The scripts of `in_image/` that are sent; the first one only if packages are downloaded before they are installed."""
_CONDA = "conda"
"""The folder in it for the packages of conda files, at their paths in the project; their pip parts are in `project`."""


@dataclass(frozen=True, kw_only=True)
class PythonStep:
    """The packages to install.

    Args:
        files: members of the context below `FOLDER`.
        names: requirements files and requirements, for display.
        pinned: whether each package has one exact version.
        lines: every requirement and option, sorted, each once; empty if there is a local wheel, whose content no
            line tells.
    """

    files: tuple[ContextFile, ...]
    names: tuple[str, ...]
    pinned: bool = False
    lines: tuple[str, ...] = ()


def python_step(
    requirements: Sequence[str],
    trees: Sequence[RequirementsTree],
    member: Callable[[str], ContextFile],
    *,
    conda: CondaFile | None = None,
    downloads: bool = False,
) -> PythonStep | None:
    """Return the step that installs Python packages; None if there are none.

    Args:
        requirements: PEP 508 strings of the table and of the project.
        trees: the requirements files with those that they include.
        member: returns the member of the build context for a project-relative path.
        conda: the conda file, whose pip part is among the trees; None if there is none.
        downloads: whether packages are downloaded before they are installed, because that takes secrets.
    """
    from importlib import resources

    from azureml_tasks.requirements.files import is_pinned

    packages = [line.text for line in conda.packages] if conda else []
    if not requirements and not trees and not packages:
        return None
    plain = [_include(tree) for tree in trees if not tree.hashed] + list(requirements)
    plain = [_include_file(_CONDA, conda.path), *plain] if conda and packages else plain
    hashed = [_include(tree) for tree in trees if tree.hashed]
    pinned = sorted({pin for tree in trees for pin in tree.pinned if tree.hashed})
    scripts = SCRIPTS if downloads else SCRIPTS[1:]
    in_image = resources.files("azureml_tasks").joinpath("in_image")
    finding = [line for tree in trees if not tree.hashed for line in tree.finding] if downloads else []
    texts = {"requirements.txt": plain, "hashed.txt": hashed, "pinned.txt": pinned, "finding.txt": finding}
    own = [
        _text(name, "".join(f"{line}\n" for line in lines).encode()) for name, lines in texts.items() if lines
    ]
    carried = sorted({path for tree in trees for path in (*tree.files, *tree.wheels)})
    if conda and packages:
        own.append(_text(f"{_CONDA}/{conda.path}", conda.packages_text.encode()))
    own += [_text(name, in_image.joinpath(name).read_bytes()) for name in scripts]
    files = (*own, *map(member, carried))
    roots = [*([conda.path] if conda and packages else []), *(tree.files[0] for tree in trees)]
    named = [*packages, *requirements]
    return PythonStep(
        files=(*_folders(files), *files),
        names=(*dict.fromkeys(roots), *requirements),
        pinned=all(map(is_pinned, named)) and all(tree.all_pinned for tree in trees),
        lines=_lines(named, trees),
    )


def _lines(requirements: Sequence[str], trees: Sequence[RequirementsTree]) -> tuple[str, ...]:
    if any(tree.wheels for tree in trees):
        return ()
    return tuple(sorted({*requirements, *(line for tree in trees for line in tree.lines)}))


def _include(tree: RequirementsTree) -> str:
    return _include_file("project", tree.files[0])


def _include_file(folder: str, path: str) -> str:
    """Return the line that includes a file. Pip reads options as a shell does, so the path can be quoted."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'-r "{folder}/{escaped}"'


def _text(name: str, data: bytes) -> ContextFile:
    return ContextFile(name=f"{FOLDER}/{name}", data=data, size=len(data))


def _folders(files: Sequence[ContextFile]) -> tuple[ContextFile, ...]:
    """Return every folder of *files*."""
    folders = {str(folder) for file in files for folder in PurePosixPath(file.name).parents} - {"."}
    return tuple(ContextFile(name=f"{folder}/") for folder in sorted(folders))
