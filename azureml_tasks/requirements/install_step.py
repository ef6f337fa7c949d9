"""The step that installs Python packages: the files of the build context that its script reads."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.requirements.wanted_python import WantedPython

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
SERVER = "azureml-inference-server-http"
COLLECTING_SCRIPT = "collect_packages.py"
"""Installs the packages and collects those that the base does not have, for a folder beside the code."""
SERVER_SCRIPT = "server_environment.sh"
"""Makes the environment of the inference server in a base without one."""


@dataclass(frozen=True, kw_only=True)
class PythonStep:
    """The packages to install.

    Args:
        files: members of the context below `FOLDER`.
        names: requirements files and requirements, for display.
        pinned: whether each package has one exact version.
        lines: every requirement and option, sorted, each once; empty if there is a local wheel, whose content no
            line tells. A line of a file with an index of its own ends with that index, as a comment.
        mixes_indexes: whether packages come from different indexes, so that a line alone does not say from which.
        wanted_pythons: what lock files say of Python.
    """

    files: tuple[ContextFile, ...]
    names: tuple[str, ...]
    pinned: bool = False
    lines: tuple[str, ...] = ()
    mixes_indexes: bool = False
    wanted_pythons: tuple[WantedPython, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _PipRun:
    """One run of pip, by the lines of the files that it reads.

    Args:
        lines: for pip: -r lines, and requirements of the table.
        finding: where and how pip finds the packages.
        held: names of packages that earlier runs have installed and that this one must keep.
    """

    lines: tuple[str, ...]
    finding: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


def python_step(
    requirements: Sequence[str],
    trees: Sequence[RequirementsTree],
    member: Callable[[str], ContextFile],
    *,
    conda: CondaFile | None = None,
    downloads: bool = False,
    folder: str = ".",
    adds_server: bool = False,
    collects: bool = False,
) -> PythonStep | None:
    """Return the step that installs Python packages; None if there are none.

    Args:
        requirements: PEP 508 strings of the table and of the project.
        trees: the requirements files with those that they include.
        member: returns the member of the build context for a project-relative path.
        conda: the conda file, whose pip part is among the trees; None if there is none.
        downloads: whether packages are downloaded before they are installed, because that takes secrets.
        folder: of pyproject.toml, relative to the folder that all paths are relative to; "." if it is that one.
        adds_server: whether the base lacks the inference server, which is then a requirement too, and an environment
            for it.
        collects: whether the packages are for a folder beside the code, not for an image.
    """
    from importlib import resources

    from azureml_tasks.requirements.files import is_pinned

    packages = [line.text for line in conda.packages] if conda else []
    if adds_server and not _pins_server(requirements, trees):
        requirements = [*requirements, SERVER]
    if not requirements and not trees and not packages:
        return None
    of_conda = [_include_file(_CONDA, conda.path)] if conda and packages else []
    plain = _runs([tree for tree in trees if not tree.hashed], [*of_conda, *requirements])
    hashed = _runs([tree for tree in trees if tree.hashed], [])
    pinned = sorted({pin for tree in trees for pin in tree.pinned if tree.hashed})
    texts = {"pinned.txt": pinned, **_run_files(plain, hashed, downloads=downloads)}
    own = [
        _text(name, "".join(f"{line}\n" for line in lines).encode()) for name, lines in texts.items() if lines
    ]
    own += [_text(f"locks/{_lock_name(tree)}", tree.generated.encode()) for tree in trees if tree.generated]
    if conda and packages:
        own.append(_text(f"{_CONDA}/{conda.path}", conda.packages_text.encode()))
    carried = {path for tree in trees for path in tree.wheels}
    carried |= {path for tree in trees if not tree.generated for path in tree.files}
    in_image = resources.files("azureml_tasks").joinpath("in_image")
    scripts = (
        *(SCRIPTS if downloads else SCRIPTS[1:]),
        *([SERVER_SCRIPT] if adds_server else []),
        *([COLLECTING_SCRIPT] if collects else []),
    )
    own += [_text(name, in_image.joinpath(name).read_bytes()) for name in scripts]
    project: list[ContextFile] = []
    if carried and folder != ".":
        own.append(_text("folder.txt", folder.encode()))
        project.append(ContextFile(name=f"{FOLDER}/project/{folder}/"))
    files = (*own, *map(member, sorted(carried)))
    roots = [_relative(conda.path, folder)] if conda and packages else []
    roots += [_name(tree, folder) for tree in trees]
    named = [*packages, *requirements]
    return PythonStep(
        files=(*_folders([*files, *project]), *files),
        names=(*dict.fromkeys(roots), *requirements),
        pinned=all(map(is_pinned, named)) and all(tree.all_pinned for tree in trees),
        lines=_lines(named, trees),
        mixes_indexes=len({run.finding for run in (*plain, *hashed)}) > 1,
        wanted_pythons=tuple(_wanted_python(tree, folder) for tree in trees if tree.requires_python),
    )


def _runs(trees: Sequence[RequirementsTree], requirements: Sequence[str]) -> list[_PipRun]:
    """Return the runs of pip: neighbours with the same index share one; *requirements* come last, without an index."""
    runs: list[_PipRun] = []
    named: dict[str, None] = {}
    sources: list[RequirementsTree | None] = [*trees, *([None] if requirements else [])]
    for _, neighbours in groupby(sources, key=lambda source: source.index if source else ""):
        group = list(neighbours)
        files = [tree for tree in group if tree]
        lines = (*map(_include, files), *(requirements if None in group else []))
        finding = tuple(line for tree in files for line in tree.finding)
        runs.append(_PipRun(lines=lines, finding=finding, held=tuple(named)))
        named |= {name: None for tree in files for name in tree.names}
    return runs


def _run_files(
    plain: Sequence[_PipRun], hashed: Sequence[_PipRun], *, downloads: bool
) -> dict[str, Sequence[str]]:
    """Return the lines of each file that the runs of pip read, by its name; a file without lines is not sent."""
    texts: dict[str, Sequence[str]] = {}
    for number, run in enumerate(plain, 1):
        texts |= {_numbered("requirements", number): run.lines, _numbered("held", number): run.held}
        texts |= {_numbered("finding", number): run.finding} if downloads else {}
    return texts | {_numbered("hashed", number): run.lines for number, run in enumerate(hashed, 1)}


def _numbered(stem: str, number: int) -> str:
    """Return the name of a file of the run *number*, which the scripts in the image know."""
    return f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt"


def _wanted_python(tree: RequirementsTree, folder: str) -> WantedPython:
    written = f"requires-python = {tree.requires_python}"
    return WantedPython(_relative(tree.files[0], folder), tree.python_line, written, tree.requires_python)


def _lock_name(tree: RequirementsTree) -> str:
    return f"{tree.files[0]}.txt"


def _name(tree: RequirementsTree, folder: str) -> str:
    name = _relative(tree.files[0], folder)
    return f"{name} from {tree.index}" if tree.index else name


def _relative(path: str, folder: str) -> str:
    return posixpath.relpath(f"/{path}", f"/{folder}")


def _lines(requirements: Sequence[str], trees: Sequence[RequirementsTree]) -> tuple[str, ...]:
    if any(tree.wheels for tree in trees):
        return ()
    in_files = {f"{line} # {tree.index}" if tree.index else line for tree in trees for line in tree.lines}
    return tuple(sorted({*requirements, *in_files}))


def _include(tree: RequirementsTree) -> str:
    if tree.generated:
        return _include_file("locks", _lock_name(tree))
    return _include_file("project", tree.files[0])


def _include_file(folder: str, path: str) -> str:
    """Return the line that includes a file. Pip reads options as a shell does, so the path can be quoted."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'-r "{folder}/{escaped}"'


def _text(name: str, data: bytes) -> ContextFile:
    return ContextFile(name=f"{FOLDER}/{name}", data=data, size=len(data))


def _folders(files: Sequence[ContextFile]) -> tuple[ContextFile, ...]:
    """Return every folder of *files*."""
    folders = {str(folder) for file in files for folder in PurePosixPath(f"{file.name}_").parents} - {"."}
    return tuple(ContextFile(name=f"{folder}/") for folder in sorted(folders))


def _pins_server(requirements: Sequence[str], trees: Sequence[RequirementsTree]) -> bool:
    """Return whether a requirement gives the inference server one exact version."""
    from azureml_tasks.requirements.lines import plain_pin

    pins = [*map(plain_pin, requirements), *(pin for tree in trees for pin in tree.pinned)]
    pins += [plain_pin(line.partition(" #")[0].rstrip()) for tree in trees for line in tree.lines]
    return any(pin.startswith(f"{SERVER}==") for pin in pins)
