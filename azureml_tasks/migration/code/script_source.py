"""A script that defines `init()` and `run()`: the code is its folder and the modules of the project that it imports."""

from __future__ import annotations

import ast
import os
import posixpath
import sys
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.migration.line_ranges import Fate, whole_text
from azureml_tasks.migration.reading import Outcome, Reading, Value
from azureml_tasks.project.entry_script import parse_script
from azureml_tasks.project.script_calls import takes_mini_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings

_DEFAULT = "score.py"
"""The entry script that the table need not name."""
_MOST_ENTRIES = 1_000
"""Entries of a folder in which a module is looked for."""


class Module(NamedTuple):
    """A module of the project that a script imports.

    Args:
        folder: that Python has to look in, relative to the project's folder.
        name: of the module, the first part.
        is_package: whether it is a folder.
    """

    folder: str
    name: str
    is_package: bool


class Code(NamedTuple):
    """What the table says of the code.

    Args:
        code: a folder, or several.
        entry_script: relative to the app's root.
        python_path: folders of the image in which modules are.
    """

    code: str | list[str]
    entry_script: str
    python_path: tuple[str, ...] = ()


def read_script(source: Source, surroundings: Surroundings) -> Reading:
    """Return the keys that copy a script with what it imports of the project."""
    tree = parse_script(source.text.encode("utf-8", "surrogatepass"))
    modules = list(_modules(tree, source.name, surroundings)) if tree else []
    code = code_of(source.name, modules)
    found: list[tuple[str, object]] = [("code", code.code)]
    found += [("entry-script", code.entry_script)] if code.entry_script != _DEFAULT else []
    found += [("python-path", list(code.python_path))] if code.python_path else []
    values = [Value(place=(key,), value=value, file=source.name, line=1) for key, value in found]
    why = ", ".join(f"{key} = {_toml(value)}" for key, value in found)
    if outer := sorted({_path(module) for module in modules if module.folder != _folder(source.name)}):
        why += f": it imports {', '.join(outer)}"
    if tree and takes_mini_batch(tree):
        why += "; its run() takes the files of a batch deployment: name some in smoke-test.mini-batch"
    lines = whole_text(source.text, Fate(Outcome.KEY, why), "init() and run()")
    return Reading(source=source, values=tuple(values), lines=lines)


def code_of(script: str, modules: Sequence[Module]) -> Code:
    """Return how the table names a script and the modules that it imports.

    Args:
        script: path relative to the project's folder.
        modules: of the project, each once.
    """
    home, name = _folder(script), posixpath.basename(script)
    others = [module for module in modules if module.folder != home]
    if not others:
        return Code(code=home, entry_script=name)
    has_neighbours = len(others) < len(modules)
    folders = dict.fromkeys([home, *(_path(each) if each.folder == "." else each.folder for each in others)])
    names = [posixpath.basename(folder) for folder in folders]
    is_beside = any(module.folder == "." and not module.is_package for module in others)
    has_one_each = 1 < len(set(names)) == len(names) and not {"", ".", ".."} & set(names)
    if is_beside or not has_one_each:
        paths = [home] if has_neighbours else []
        paths += [module.folder for module in others if module.folder != "."]
        if any(path.startswith("..") for path in (home, *paths)):
            return Code(code=home, entry_script=name)
        return Code(code=".", entry_script=script, python_path=tuple(dict.fromkeys(paths)))
    paths = [posixpath.basename(home)] if has_neighbours else []
    paths += [posixpath.basename(module.folder) for module in others if module.folder != "."]
    return Code(
        code=list(folders),
        entry_script=f"{posixpath.basename(home)}/{name}",
        python_path=tuple(dict.fromkeys(paths)),
    )


def _folder(path: str) -> str:
    return posixpath.dirname(path) or "."


def _path(module: Module) -> str:
    return posixpath.normpath(f"{module.folder}/{module.name}{'' if module.is_package else '.py'}")


def _modules(tree: ast.Module, script: str, surroundings: Surroundings) -> Iterator[Module]:
    """Yield the modules of the project that a script imports, each once, in the script's order."""
    home = _folder(script)
    places = [home] if home.startswith("..") else list(dict.fromkeys([home, ".", "src", *_parents(home)]))
    listings = {place: _listing(surroundings, place) for place in places}
    for name in dict.fromkeys(_imported(tree)):
        if name in sys.stdlib_module_names:
            continue
        for place in places:
            if (
                f"{name}.py" in listings[place]
                and f"{place}/{name}.py" != f"{home}/{posixpath.basename(script)}"
            ):
                yield Module(place, name, is_package=False)
                break
            if name in listings[place] and _has_scripts(surroundings, f"{place}/{name}"):
                yield Module(place, name, is_package=True)
                break


def _parents(folder: str) -> Iterator[str]:
    while folder := posixpath.dirname(folder):
        yield folder


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the first part of each absolute import; a loop, as trees can be deep."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def _has_scripts(surroundings: Surroundings, folder: str) -> bool:
    return any(name.endswith(".py") for name in _listing(surroundings, folder))


def _listing(surroundings: Surroundings, folder: str) -> frozenset[str]:
    """Return the names in a folder of the project; none if it leads elsewhere or has very many."""
    located = surroundings.locate(folder)
    if located.kind != "folder":
        return frozenset()
    try:
        with os.scandir(surroundings.folder / located.name) as scan:
            names = [entry.name for entry in islice(scan, _MOST_ENTRIES + 1)]
    except OSError:
        return frozenset()
    return frozenset(names) if len(names) <= _MOST_ENTRIES else frozenset()


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).replace("'", '"')
