"""The project that everything is measured on, and the changes that are made to it.

200 small Python files, five pinned packages and a model of random bytes, beside a repository and a virtual
environment of 5,500 files that no image may hold. Only the model's size and the number of files differ in `growth`.
"""

from __future__ import annotations

import os
import random
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.machine.benchmark import by_hand
from tests.machine.benchmark.packages import PACKAGES

__all__ = ["Project", "Size", "lay_out", "trivial", "weights"]

_IGNORED_FILES = 5500
_OBJECTS = 1270
"""Loose objects of git beside those of the one commit, as a repository has that people work in."""
_BLOCK = 2**20
_TABLE = """\
[project]
name = "{name}"
version = "1.0.0"

[tool.azureml-image]
base = "{base}"
{more}
[tool.azureml-image.smoke-test]
repeat = 1

[[tool.azureml-image.smoke-test.requests]]
body = {{ numbers = [1, 2, 3] }}
expect = {{ sum = 6 }}
"""
_PARTS = 'requirements = "requirements.txt"\nmodel = "model"\n'
_TASKS = """\
from invoke.collection import Collection
from azureml_tasks import image

ns = Collection(image)
"""
_TRIVIAL = """\
from invoke.collection import Collection
from invoke.tasks import task


@task
def hello(c):
    print("hello")


ns = Collection(hello)
"""
_SCORE = """\
import json

STATE = "{state}"


def init():
    pass


def run(data):
    return {{"sum": sum(json.loads(data)["numbers"]), "state": STATE}}
"""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a project is.

    Args:
        files: small Python files, at least one.
        model: bytes of the model.
    """

    files: int = 200
    model: int = 500 * 10**6


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project on disk.

    Args:
        folder: where it is.
        name: of its image's repository.
        score: the entry script, in which the line stands that is changed.
    """

    folder: Path
    name: str
    score: Path

    def change_a_line(self) -> None:
        """Change one line of code into what it never was before."""
        self.score.write_text(_SCORE.format(state=uuid.uuid4().hex), encoding="utf-8")

    def state(self) -> str:
        """What the server answers with the line as it is now."""
        return self.score.read_text(encoding="utf-8").partition('STATE = "')[2].partition('"')[0]

    def require(self, *more: str) -> None:
        """Require the five packages and *more*."""
        text = "".join(f"{line}\n" for line in (*PACKAGES, *more))
        (self.folder / "requirements.txt").write_text(text, encoding="utf-8")

    def code_bytes(self) -> int:
        """How large the files are that a changed line of code sends again."""
        return sum(path.stat().st_size for path in (self.folder / "code").rglob("*") if path.is_file())


def weights(path: Path, size: int) -> Path:
    """Write *size* random bytes, which do not compress, to *path*; the same each time."""
    source = random.Random(1)  # noqa: S311 -- nobody shall be kept from guessing them
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(source.randbytes(min(_BLOCK, size - start)))
    return path


def trivial(folder: Path) -> Path:
    """A folder with one Invoke task that says hello."""
    folder.mkdir(parents=True)
    (folder / "tasks.py").write_text(_TRIVIAL, encoding="utf-8")
    return folder


def lay_out(
    folder: Path, *, base: str, model: Path | None, files: int = Size.files, more: str = ""
) -> Project:
    """Write a project of our tasks, with Dockerfiles by hand beside its table.

    Args:
        folder: where it is to be; its name becomes the image's.
        base: image that it extends.
        model: file that becomes its model, by another name of the same bytes on disk; with None, the project has
            code alone, neither a model nor packages.
        files: how many Python files.
        more: further lines of `[tool.azureml-image]`.
    """
    (folder / "model").mkdir(parents=True)
    if model:
        os.link(model, folder / "model" / "weights.bin")
    _write_code(folder / "code", files)
    project = Project(folder=folder, name=folder.name, score=folder / "code" / "score.py")
    project.change_a_line()
    project.require()
    for name, text in {
        "pyproject.toml": _TABLE.format(name=folder.name, base=base, more=f"{_PARTS if model else ''}{more}"),
        "tasks.py": _TASKS,
        ".gitignore": ".venv\nmodel\n",
        ".dockerignore": by_hand.IGNORED,
        by_hand.CODE: by_hand.code(base),
        by_hand.IDEAL: by_hand.ideal(base),
        by_hand.PAGE: by_hand.page(base),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    _write_ignored(folder)
    return project


def _write_code(folder: Path, files: int) -> None:
    """`score.py` and modules beside it, a thousand in a folder at most."""
    folder.mkdir()
    for number in range(files - 1):
        package = folder / f"package_{number // 1000}"
        package.mkdir(exist_ok=True)
        text = f'"""Module {number}."""\n\n' + "".join(f"NUMBER_{line} = {line}\n" for line in range(40))
        (package / f"module_{number}.py").write_text(text, encoding="utf-8")


def _write_ignored(folder: Path) -> None:
    """A repository with one commit and a history, and a virtual environment: 5,500 files together."""
    commit = ("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "First")
    for words in (("init", "--quiet"), ("add", "--all"), commit):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    tracked = sum(1 for path in (folder / ".git").rglob("*") if path.is_file())
    venv = folder / ".venv"
    venv.mkdir()
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    paths = []
    for number in range(max(_IGNORED_FILES - tracked - _OBJECTS - 1, _OBJECTS)):
        package = venv / "lib" / "python3.12" / "site-packages" / f"package_{number // 80}"
        package.mkdir(parents=True, exist_ok=True)
        paths.append(package / f"module_{number}.py")
        paths[-1].write_text(f"NUMBER = {number}\n" * 20, encoding="utf-8")
    objects = "".join(f"{path.relative_to(folder)}\n" for path in paths[:_OBJECTS])
    hashing = ["git", "hash-object", "-w", "--stdin-paths"]
    subprocess.run(hashing, cwd=folder, input=objects, text=True, check=True, capture_output=True)
