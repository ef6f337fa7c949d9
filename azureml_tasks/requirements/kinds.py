"""The kind of a file that the table names as requirements, known before its lines are read."""

from __future__ import annotations

import posixpath
import re

PYLOCK = "pylock"
UV = "uv"

_PYLOCK_NAME = re.compile(r"pylock(\.[^.]+)?\.toml")
"""https://packaging.python.org/en/latest/specifications/pylock-toml/#file-name"""
_THEN = 'then write: requirements = "requirements.txt"'
_LOCKS = {
    "poetry.lock": ("Poetry", "poetry export --output requirements.txt"),
    "pdm.lock": ("PDM", "pdm export --prod --output requirements.txt"),
    "pipfile.lock": ("Pipenv", "pipenv requirements --hash > requirements.txt"),
}
"""The lock files of other tools: https://python-poetry.org/docs/cli/#export, https://pdm-project.org/en/latest/reference/cli/
and https://pipenv.pypa.io/en/stable/commands.html#requirements."""
_OTHER_LOCKS = ("conda-lock.yml", "pixi.lock")
"""https://conda.github.io/conda-lock/output/#unified-lockfile, https://pixi.sh/latest/workspace/lockfile/"""
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", "pipfile")
_FORMS = "The table takes requirements files, pylock.toml and uv.lock."


def lock_kind(path: str) -> str:
    """Return which lock file that can be installed *path* is by its name: `PYLOCK`, `UV`, or "" for none."""
    name = posixpath.basename(path)
    if name == "uv.lock":
        return UV
    return PYLOCK if _PYLOCK_NAME.fullmatch(name) else ""


def is_lock_file(path: str) -> bool:
    """Return whether a file is, by its name, a lock file for Python packages, also one that pip cannot read."""
    return bool(lock_kind(path)) or posixpath.basename(path).lower() in {*_LOCKS, *_OTHER_LOCKS}


def foreign_kind(path: str, text: str) -> tuple[str, str] | None:
    """Return why pip cannot read a file, and the next step; None if it may be a requirements file.

    Args:
        path: of the file.
        text: all of it.
    """
    name = posixpath.basename(path).lower()
    if name.endswith((".yml", ".yaml")):
        return "is a conda environment file, which pip does not read", f'Write instead: conda = "{path}"'
    if name in _LOCKS:
        tool, command = _LOCKS[name]
        return f"is a lock file of {tool}, which pip does not read", f"{command}\n{_THEN}"
    if lock_kind(path):
        return "is a lock file, which no other file can include", "Name it under requirements in the table."
    if name in _PROJECT:
        fix = "Write: project-dependencies = true, or name its groups and extras: dependency-groups, extras"
        return "describes a project and is no requirements file", fix
    first = next((line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"), "")
    if first.startswith(("[", "{")) or name.endswith((".toml", ".json")):
        return "is TOML or JSON, and no requirements file", _FORMS
    return None
