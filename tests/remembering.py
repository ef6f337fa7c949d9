"""A project of every kind of file whose plan is remembered, and what each later command would make of it."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.context import digest
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.file_hashes import FileHashes
from azureml_tasks.git import NoRevision
from azureml_tasks.memory import asked
from azureml_tasks.planning import Plan, plan
from azureml_tasks.project import read_project
from azureml_tasks.records import Records
from azureml_tasks.witness import Witness, nothing_seen
from tests.cases import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BAKED",
    "ENTRY",
    "HERE",
    "MOUNTED",
    "age",
    "command",
    "fresh",
    "keep",
    "later",
    "linked",
    "moved_out",
    "project",
    "question",
    "read",
    "recall",
    "records",
    "replaced",
    "set_text",
]

HERE = NoRevision(why="this is no git repository")
TABLE = """\
[project]
name = "scoring"
version = "1"

[tool.azureml-image]
base = "bases/serving:4"
requirements = "requirements.txt"
entry-script = "main.py"
{model}
[tool.azureml-image.secrets]
netrc = { file = "../secret" }

[[tool.azureml-image.smoke-test.requests]]
file = "requests/one.json"
expect-file = "requests/wanted.json"
"""
BAKED = 'model = "model"\n'
MOUNTED = 'smoke-test.model = "mounted"\n'
ENTRY = "def init(): ...\ndef run(data): ...\n"
FILES = {
    ".dockerignore": "**/*.log\n",
    "requirements.txt": "-r more/base.txt\n./wheels/a-1-py3-none-any.whl\n",
    "more/base.txt": "-c limits.txt\nnumpy==2.0\n",
    "more/limits.txt": "numpy<3\n",
    "wheels/a-1-py3-none-any.whl": "no wheel, which nobody looks at\n",
    "requests/one.json": "{}",
    "requests/wanted.json": "{}",
    "code/score.py": "",
    "code/sub/helper.py": "x = 1\n",
    "code/sub/other.py": "",
    "code/env/lib.py": "",
    "code/sub/left-out.log": "",
    "model/weights.bin": "weights\n",
    "model/v1/deep.bin": "deep\n",
    "mounted/weights.bin": "weights\n",
    "mounted/v1/deep.bin": "deep\n",
    "shared/main.py": ENTRY,
    "shared/other.py": ENTRY + "# other\n",
    "shared/data/points.csv": "1,2\n",
}
LINKS = {
    "code/main.py": "../shared/main.py",
    "code/data": "../shared/data",
    "code/latest": "sub/helper.py",
    "code/again": "sub/helper.py",
    "mounted/to-come": "../shared/none.bin",
}
_MOMENTS = itertools.count(1)
_LONG_AGO = 10**18
"""Nanoseconds since 1970, in 2001: a moment of ours is before that, one of this machine's clock after it."""


def project(folder: Path, *, model: str = BAKED) -> Path:
    """A project of every kind of file in a folder of its own below *folder*."""
    root = folder / "project"
    lay_out({**FILES, "pyproject.toml": TABLE.replace("{model}", model)}, root)
    (folder / "secret").write_text("", encoding="utf-8")
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    age(folder)
    return root


def age(folder: Path) -> None:
    """Give everything that has changed since the last time a moment of its own, as if long had passed between."""
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_mtime_ns > _LONG_AGO:
            moment = next(_MOMENTS) * 10**6 + 1
            os.utime(path, ns=(moment, moment), follow_symlinks=False)


def later() -> int:
    """A clock by which every file has its stamp for good; `age` makes that true."""
    return time.time_ns() + 10**12


def records(root: Path) -> Records:
    """The records of the project in *root*."""
    return Records(folder=root / ".azureml-image")


@lru_cache(maxsize=1)
def question() -> dict[str, Any]:
    """What is asked beside the project's folder, the same for a whole session."""
    return asked({})


def keep(root: Path, *, now: Callable[[], int] = later) -> Plan:
    """Read the project and remember its plan and the hashes of its files, as a build does."""
    records(root).folder.mkdir(exist_ok=True)
    hashes = FileHashes(file=records(root).folder / "hashes.json", now=later)
    witness = Witness(hashes=hashes, now=now)
    made = plan(read_project(root.resolve(), {}, HERE, witness))
    records(root).memory().keep(question(), HERE, made, witness)
    digest(made.files, hashes)
    hashes.keep()
    return made


def command(root: Path) -> None:
    """Do what a build does before it builds: remember, or else read and keep; what is refused changes nothing."""
    hashes = FileHashes.read(records(root).folder / "hashes.json", now=later)
    if recalled := records(root).memory().recall(question(), lambda _: HERE, hashes):
        digest(recalled.files, hashes)
        hashes.keep()
        return
    with suppress(AzuremlTasksError):
        keep(root)


def recall(root: Path) -> Plan | None:
    """What the next command remembers."""
    hashes = FileHashes.read(records(root).folder / "hashes.json", now=later)
    return records(root).memory().recall(question(), lambda _: HERE, hashes)


def read(root: Path) -> Plan:
    """What a new reading makes of the project, without asking git."""
    return plan(read_project(root.resolve(), {}, HERE, nothing_seen()))


def fresh(root: Path) -> Plan | None:
    """The same; None where it refuses the project."""
    try:
        return read(root)
    except AzuremlTasksError:
        return None


def set_text(path: Path, text: str) -> None:
    """Write *text* into a file, whose folder is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def replaced(path: Path, old: str, new: str) -> None:
    """Write *new* for *old* in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    set_text(path, text.replace(old, new))


def linked(link: Path, target: str) -> None:
    """A link in the place of whatever file is there."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def moved_out(path: Path, folder: Path) -> None:
    """Move something into *folder*, and leave a link to it."""
    path.rename(folder / path.name)
    path.symlink_to(folder / path.name)
