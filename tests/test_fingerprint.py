"""Hashes of an image's inputs: equal if and only if a build would give the same image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from azureml_tasks.context.build_context import new_context
from azureml_tasks.incremental import fingerprint as module
from azureml_tasks.incremental.fingerprint import fingerprint, fingerprint_parts
from tests.cases import lay_out
from tests.projects import read, replaced, set_text

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
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "the tags": table('"one"', '"two"'),
    "the registry": table("r.example.com", "s.example.com"),
    "the smoke test": table("repeat = 1", "repeat = 2"),
    "how long it may be kept": table("cached-layers-max-age = 1", "cached-layers-max-age = 2"),
    "a comment": table("[project]", "# This is ours.\n[project]"),
    "a file beside the code": lambda folder: set_text(folder / "README.md", "It is ours.\n"),
    "what the group may do": lambda folder: (folder / "code/score.py").chmod(0o664),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with all that an image can have."""
    return lay_out(FILES, tmp_path)


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the names of the parts that differ."""
    return [name for name in PARTS if before[name] != after[name]]


def test_the_parts_are_in_the_order_of_the_build(folder: Path) -> None:
    """Version, platform and base are named, the stages are hashes."""
    parts = parts_of(folder)

    assert (PARTS, ["0.1.0", "linux/amd64", BASE]) == (list(parts), list(parts.values())[:3])
    assert {64} == {len(part) for part in list(parts.values())[3:]}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_an_input_changes_its_part_only(change: str, folder: Path) -> None:
    """A change of the table or of a file changes the hash of the stage that uses it, and no other."""
    before = parts_of(folder)
    parts, edit = CHANGES[change]
    edit(folder)

    after = parts_of(folder)

    assert parts == changed(before, after)
    assert fingerprint(before) != fingerprint(after)


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_is_no_input_changes_nothing(change: str, folder: Path) -> None:
    """Names, values of secrets, the smoke test and the age of cached layers do not change the image."""
    before = parts_of(folder)
    NO_CHANGES[change](folder)

    after = parts_of(folder)

    assert (before, fingerprint(before)) == (after, fingerprint(after))


def test_base_and_version_are_inputs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base counts by its ID; another version of this package may write another Dockerfile."""
    before = parts_of(folder)
    monkeypatch.setattr(module, "VERSION", "0.2.0")

    assert ["version", "base"] == changed(before, parts_of(folder, "sha256:" + "2" * 64))


def test_a_fingerprint_covers_names_and_values() -> None:
    """It is the SHA-256 of the parts as JSON, in their order."""
    assert hashlib.sha256(b'[["base", "1"], ["system", "2"]]').hexdigest() == fingerprint(
        {"base": "1", "system": "2"}
    )
