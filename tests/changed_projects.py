"""A project with all that an image can have, its changes, and the hashes of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.context.build_context import new_context
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from tests.projects import read, replaced, set_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["BASE", "CHANGES", "FILES", "PARTS", "parts_of", "table"]

BASE = "sha256:" + "1" * 64
FILES = {
    "pyproject.toml": """\
[project]
name = "scoring"
version = "1"

[tool.azureml-image]
base = "bases/serving:4"
tags = ["{version}", "one"]
registry = "r.example.com"
apt = ["curl"]
pip = ["numpy==2.0"]
requirements = "requirements.txt"
model = "model"
secrets = ["netrc"]
platform = "linux/amd64"
user = "dockeruser"
cached-layers-max-age = 1

[tool.azureml-image.env]
GREETING = "hello"

[tool.azureml-image.labels]
team = "a"

[tool.azureml-image.smoke-test]
repeat = 1
""",
    "requirements.txt": "pandas==2.0\n",
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
    "model/weights.bin": "weights\n",
}
PARTS = ["version", "platform", "base", "system", "python", "model", "code", "labels"]


def parts_of(folder: Path, base: str = BASE) -> dict[str, str]:
    """Return the hashes of the inputs of the project in *folder*."""
    plan = read(folder)
    return fingerprint_parts(plan, new_context(plan.files, ""), base)


def run(after: str) -> str:
    """Return a table with a command of the project, in place of the line `[tool.azureml-image.env]`."""
    return f'\nrun = [{{ after = "{after}", command = "make" }}]\n\n[tool.azureml-image.env]'


def table(old: str, new: str) -> Callable[[Path], None]:
    """Another line in the table."""
    return lambda folder: replaced(folder / "pyproject.toml", old, new)


CHANGES: dict[str, tuple[list[str], Callable[[Path], object]]] = {
    "the platform": (["platform"], table("linux/amd64", "linux/arm64")),
    "a system package": (["system"], table('["curl"]', '["curl", "git"]')),
    "a command before pip": (["system"], table("\n\n[tool.azureml-image.env]", run("apt"))),
    "a command after pip": (["python"], table("\n\n[tool.azureml-image.env]", run("pip"))),
    "a command after the code": (["code"], table("\n\n[tool.azureml-image.env]", run("code"))),
    "a requirement": (["python"], table("numpy==2.0", "numpy==2.1")),
    "a requirements file": (
        ["python"],
        lambda folder: set_text(folder / "requirements.txt", "pandas==2.1\n"),
    ),
    "a secret less": (["python"], table('["netrc"]', "[]")),
    "a byte of the model": (["model"], lambda folder: set_text(folder / "model/weights.bin", "WEIGHTS\n")),
    "a name in the model": (
        ["model"],
        lambda folder: (folder / "model/weights.bin").rename(folder / "model/w"),
    ),
    "a byte of the code": (["code"], lambda folder: set_text(folder / "code/more.py", "")),
    "a program": (["code"], lambda folder: (folder / "code/score.py").chmod(0o755)),
    "a variable": (["code"], table('"hello"', '"good day"')),
    "a label": (["labels"], table('team = "a"', 'team = "b"')),
    "the project's version": (["labels"], table('version = "1"', 'version = "2"')),
    "the name": (["labels"], table('name = "scoring"', 'name = "other"')),
    "the name of the base": (["labels"], table("bases/serving:4", "bases/serving:5")),
    "the user": (["labels"], table("dockeruser", "other")),
    "no model": (["model", "code"], table('model = "model"\n', "")),
}
