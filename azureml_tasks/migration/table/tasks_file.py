"""The file tasks.py, which gives Invoke the tasks: its text where there is none, or what to add to it."""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.project.entry_script import parse_script
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("tasks.py", "tasks/__init__.py")
"""What Invoke loads: https://docs.pyinvoke.org/en/stable/concepts/loading.html."""
TEXT = """\
from invoke.collection import Collection
from azureml_tasks import image

ns = Collection(image)
"""
_LARGEST = 1_000_000
_PACKAGE = "azureml_tasks"


class TasksFile(NamedTuple):
    """What there is, and what is to be done.

    Args:
        path: of the file that Invoke loads; of the one to write if there is none.
        exists: whether there is one.
        advice: what to add to it, of several lines; "" if nothing is to be added.
    """

    path: Path
    exists: bool
    advice: str = ""


def tasks_file(folder: Path, root: Path) -> TasksFile:
    """Return what Invoke loads in *folder*: it looks there and in the folders above it.

    Args:
        folder: of the project.
        root: the last folder to look in.
    """
    for each in (folder, *folder.parents):
        for name in NAMES:
            if os.path.lexists(each / name):
                return TasksFile(path=each / name, exists=True, advice=_advice(each / name, folder, each))
        if each == root:
            break
    return TasksFile(path=folder / NAMES[0], exists=False)


def _advice(path: Path, folder: Path, home: Path) -> str:
    """Return what to add to the file at *path* so that it has our tasks; "" if it names our package already."""
    try:
        source = read_bytes(path, _LARGEST)
    except (FileNotFoundError, UnreadableFile):
        source = b""
    if _PACKAGE.encode() in source:
        return ""
    tree = parse_script(source)
    names = [name for each in tree.body for name in _bound(each)] if tree else []
    inner = folder.relative_to(home).as_posix()
    if inner == ".":
        imported, added = "from azureml_tasks import image", "image"
    else:
        imported = "from azureml_tasks import collection"
        added = f'collection(project="{inner}")'
    if names:
        return f"{imported}\n{names[-1]}.add_collection({added})"
    namespace = "ns = Collection.from_module(sys.modules[__name__])"
    return f"import sys\nfrom invoke.collection import Collection\n{imported}\n{namespace}\nns.add_collection({added})"


def _bound(statement: ast.stmt) -> list[str]:
    """Return which of `ns` and `namespace`, which Invoke takes, a statement gives a value."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    names = [each.id for each in targets if isinstance(each, ast.Name)]
    return [name for name in names if name in {"ns", "namespace"}]
