"""Small steps that tests take with the files of a project."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

from azureml_tasks.planning.plan import Plan, plan
from azureml_tasks.project.load import load

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["age", "later", "read", "replaced", "set_text"]

_MOMENTS = itertools.count(1)
_LONG_AGO = 10**18
"""Nanoseconds since 1970, in 2001: a moment of ours is before that, one of this machine's clock after it."""


def age(folder: Path) -> None:
    """Give everything that has changed since the last time a moment of its own, as if long had passed between."""
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_mtime_ns > _LONG_AGO:
            moment = next(_MOMENTS) * 10**6 + 1
            os.utime(path, ns=(moment, moment), follow_symlinks=False)


def later() -> int:
    """A clock by which every file has its stamp for good; `age` makes that true."""
    return time.time_ns() + 10**12


def read(root: Path) -> Plan:
    """Return the plan of the project in *root*."""
    return plan(load(root))


def set_text(path: Path, text: str) -> None:
    """Write *text* into a file, whose folder is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def replaced(path: Path, old: str, new: str) -> None:
    """Write *new* for *old* in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    set_text(path, text.replace(old, new))
