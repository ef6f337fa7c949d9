"""Find the scripts of a project that define `init()` and `run()`. They are read and never run.

The search is bounded: it names what a message can show, and never makes a command slow.
"""

from __future__ import annotations

import ast
import os
import posixpath
from typing import TYPE_CHECKING

from azureml_tasks.project.entry_script import LARGEST_SCRIPT, parse_script
from azureml_tasks.text_file import UnreadableFile, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from azureml_tasks.project.ignore import IgnoreRules

_MOST_ENTRIES = 5_000
"""Files and folders that are looked at."""
_MOST_SCRIPTS = 300
"""Scripts that are parsed."""
_MOST_NAMED = 5
_DEEPEST = 8
"""Folders inside each other."""
_OTHERS_CODE = frozenset({"node_modules", "site-packages"})


def entry_scripts(root: Path, matcher: IgnoreRules, folder: str = "") -> list[str]:
    """Return the scripts that define both functions, the nearest first.

    Args:
        root: the folder that all files must be in, resolved.
        matcher: the ignore rules; what they exclude is not looked at.
        folder: where the search starts, relative to the root; "" for the root itself.

    Returns:
        Paths relative to the root with "/", at most five.
    """
    found: list[str] = []
    parsed = 0
    for path in _scripts(root, matcher, "" if folder == "." else folder):
        if len(found) == _MOST_NAMED or parsed == _MOST_SCRIPTS:
            break
        try:
            source = read_bytes(root / path, LARGEST_SCRIPT)
        except (FileNotFoundError, UnreadableFile):
            continue
        if b"init" in source and b"run" in source:
            parsed += 1
            found += [path] if defines_both(source) else []
    return found


def how_to_name(paths: Sequence[str], places: Sequence[str] = ()) -> str:
    """Return what to write in the table so that one of the scripts *paths* serves, one line for each.

    Args:
        paths: that `entry_scripts` returned, as the table names them.
        places: of them in the image, relative to the app's root; empty if the table names no code yet.
    """
    keys = [f'entry-script = "{place}"' for place in places] or [*map(_keys, paths)]
    lines = (f"{path} defines init() and run(). Write: {key}" for path, key in zip(paths, keys, strict=True))
    return "\n".join(lines)


def _keys(path: str) -> str:
    folder, name = posixpath.split(path)
    script = "" if name == "score.py" else f' and entry-script = "{name}"'
    return f'code = "{folder or "."}"{script}'


def defines_both(source: bytes) -> bool:
    """Return whether the module's own statements define `init` and `run` as functions."""
    tree = parse_script(source)
    body = tree.body if tree else ()
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {"init", "run"} <= names


def _scripts(root: Path, matcher: IgnoreRules, folder: str) -> Iterator[str]:
    """Yield the Python files below *folder*, those of each level before those of the next; no link is followed."""
    level, looked = [folder], 0
    for _ in range(_DEEPEST):
        below: list[str] = []
        for each in level:
            entries = _entries(root / each)
            looked += len(entries)
            if looked > _MOST_ENTRIES:
                return
            if any(entry.name == "pyvenv.cfg" for entry in entries):
                continue  # A virtual environment, under any name.
            for entry in entries:
                path = posixpath.join(each, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    hidden = entry.name.startswith(".") or entry.name in _OTHERS_CODE
                    below += [path] if not hidden and matcher.may_descend(path) else []
                elif entry.name.endswith(".py") and entry.is_file(follow_symlinks=False):
                    yield from [path] if matcher.decision(path)[1] else []
        level = below


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in *folder*, sorted; nothing if it cannot be read."""
    try:
        with os.scandir(folder) as scan:
            return sorted(scan, key=lambda entry: entry.name)
    except OSError:
        return []
