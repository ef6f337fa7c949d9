"""The recipes of docs/runners.md, each run by its runner in a tiny project; `tests/real/test_runners.py` has uv's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cases import lay_out
from tests.documentation import ROOT, blocks
from tests.git_command import git
from tests.runners import CHECKED, FILES, PAGE, lines_of, ran

TASKS, NOXFILE = blocks(PAGE, "python")
LOCAL, HOOKS = blocks(PAGE, "yaml")


def test_invoke(tmp_path: Path) -> None:
    """A task of the project's own collection and one of our tasks run in one command."""
    folder = lay_out({**FILES, "tasks.py": TASKS}, tmp_path / "demo")
    (line,) = lines_of("invoke")

    printed = ran(line, folder)

    assert "next       nothing is built yet: invoke image.build\n" in printed
    assert list((folder / "code").rglob("*.pyc"))


def test_nox(tmp_path: Path) -> None:
    """The session checks, and takes the words of another task."""
    folder = lay_out({**FILES, "noxfile.py": NOXFILE}, tmp_path / "demo")

    check, dockerfile = (ran(line, folder) for line in lines_of("nox"))

    assert CHECKED in check
    assert "\nFROM mcr.microsoft.com/azureml/minimal-py312-inference:latest\n" in dockerfile


@pytest.mark.parametrize("uses", ["the program on PATH", "the repository of hooks"])
def test_pre_commit(uses: str, tmp_path: Path) -> None:
    """The hook runs the check for a commit; the repository of hooks declares the same one."""
    if uses == "the repository of hooks":
        (declared,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
        (documented,) = yaml.safe_load(HOOKS)["repos"][0]["hooks"]
        assert documented["id"] == declared["id"]
        # What pre-commit would install for `language: python` is on PATH here.
        hook = {**declared, "id": "azureml-image", "language": "system"}
        text = yaml.safe_dump({"repos": [{"repo": "local", "hooks": [hook]}]})
    else:
        text = LOCAL
    folder = lay_out({**FILES, ".pre-commit-config.yaml": text}, tmp_path / "demo")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    (line,) = lines_of("pre-commit")

    printed = ran(f"{line} --verbose", folder, PRE_COMMIT_HOME=str(tmp_path / "cache"))

    assert CHECKED in printed


def test_pre_commit_takes_the_hooks_of_this_repository() -> None:
    """The file with the hooks is one that pre-commit reads."""
    words = [sys.executable, "-m", "pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")]

    ended = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
