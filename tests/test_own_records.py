"""Records that are not this machine's own are refused: those of a link, and those that somebody has committed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from azureml_tasks.project.git import tracks
from azureml_tasks.state.own_records import foreign_records
from azureml_tasks.state.record_folder import FOLDER
from tests.consumers import consumer, invoke

TRACKED = """\
.azureml-image: is tracked by git, but records say what this machine itself has built, tested and pushed
    git rm -r --cached --quiet FOLDER/.azureml-image
    rm -r FOLDER/.azureml-image

1 problem; {state}
"""
LINK = """\
.azureml-image: is a link; records stay in the folder itself, so that nothing else is written or removed
    rm FOLDER/.azureml-image

1 problem; {state}
"""


def git(folder: Path, *words: str) -> str:
    """Run git in *folder*, without the configuration of the machine."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    ended = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], env=env, capture_output=True, text=True, check=True
    )
    return ended.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in a subfolder of a repository, with records that git tracks in spite of their .gitignore."""
    folder = tmp_path / "team" / "scoring"
    (folder / FOLDER).mkdir(parents=True)
    git(tmp_path, "init", "--quiet")
    for name in ("pyproject.toml", f"{FOLDER}/build.json", f"{FOLDER}/.gitignore"):
        (folder / name).write_text("*\n", encoding="utf-8")
    git(tmp_path, "add", "--force", ".")
    return folder


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("split", ["--no-split-index", "--split-index"])
def test_tracked_records_are_found_in_every_form_of_an_index(version: str, split: str, project: Path) -> None:
    """Also in one that leaves out what names have in common, and in one of several files; once removed they are not."""
    git(project, "update-index", "--index-version", version)
    git(project, "update-index", split)

    before = tracks(project / FOLDER)
    git(project, "rm", "-r", "--cached", "--quiet", str(project / FOLDER))
    git(project, "update-index", split)

    assert (True, False) == (before, tracks(project / FOLDER))


def test_an_intent_to_add_counts(project: Path) -> None:
    """Its entry has more flags than others."""
    git(project, "rm", "-r", "--cached", "--quiet", str(project / FOLDER))
    git(project, "add", "--force", "--intent-to-add", f"{FOLDER}/build.json")

    assert (project.parent.parent / ".git/index").read_bytes().startswith(b"DIRC\0\0\0\3")
    assert tracks(project / FOLDER)


def test_records_of_other_projects_do_not_count(project: Path) -> None:
    """Neither those of a folder above or below, nor a file with a longer name."""
    top = project.parent.parent
    (project / f"{FOLDER}-old").write_text("", encoding="utf-8")
    git(top, "add", ".")
    git(project, "rm", "-r", "--cached", "--quiet", str(project / FOLDER))
    git(project, "mv", "pyproject.toml", "moved.toml")
    (project / "team/scoring" / FOLDER).mkdir(parents=True)
    (project / "team/scoring" / FOLDER / "build.json").write_text("{}", encoding="utf-8")
    git(top, "add", "--force", ".")
    git(project, "rm", "-r", "--cached", "--quiet", "--ignore-unmatch", str(project / FOLDER))

    tracked = [
        tracks(folder / FOLDER) for folder in (top, project, project / "team/scoring", project / "team")
    ]

    assert [False, False, True, False] == tracked


def test_another_case_counts_as_the_same(tmp_path: Path) -> None:
    """On macOS and Windows a committed `.AzureML-Image` is the folder of the records."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".AzureML-Image").mkdir()
    (tmp_path / ".AzureML-Image/build.json").write_text("{}", encoding="utf-8")
    git(tmp_path, "add", ".")

    assert tracks(tmp_path / FOLDER)


def test_a_repository_in_its_place_and_a_link_count(tmp_path: Path) -> None:
    """Git tracks a submodule, and a link, by an entry of the folder's own name."""
    for number, name in enumerate(("module", "link")):
        top = tmp_path / name
        top.mkdir()
        git(top, "init", "--quiet")
        entry = (
            ("160000", "1" * 40)
            if not number
            else ("120000", git(top, "hash-object", "-w", "--stdin").strip())
        )
        git(top, "update-index", "--add", "--cacheinfo", f"{entry[0]},{entry[1]},{FOLDER}")

    assert [True, True] == [tracks(tmp_path / name / FOLDER) for name in ("module", "link")]


def test_a_worktree_has_an_index_of_its_own(project: Path, tmp_path: Path) -> None:
    """The file `.git` of a worktree names its place."""
    top = project.parent.parent
    git(top, "commit", "--quiet", "--message", "first")
    git(top, "worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "other")
    git(top, "rm", "-r", "--cached", "--quiet", str(project / FOLDER))

    assert [False, True] == [tracks(root / "team/scoring" / FOLDER) for root in (top, tmp_path / "tree")]


def test_without_a_repository_nothing_is_tracked(tmp_path: Path) -> None:
    """And a folder that does not exist is nobody's."""
    assert (False, None) == (tracks(tmp_path / FOLDER), foreign_records(tmp_path / FOLDER))


@pytest.mark.parametrize(
    "words", ["image.check", "image.build", "image.dockerfile", "image.push", "image.clean"]
)
def test_no_command_believes_what_was_committed(words: str, tmp_path: Path) -> None:
    """Each ends with exit code 2 and what to do, and what is there stays as it is."""
    folder = consumer(tmp_path / "committed")
    (folder / FOLDER).mkdir()
    (folder / FOLDER / "build.json").write_text('{"id": "someone-else:tag"}', encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", "--force", ".")

    ended = invoke(folder, words)

    assert (2, "", TRACKED.format(state=STATES[words])) == (ended.code, ended.out, ended.err)
    assert ["build.json"] == [path.name for path in (folder / FOLDER).iterdir()]


@pytest.mark.parametrize(
    "words", ["image.check", "image.build", "image.dockerfile", "image.push", "image.clean"]
)
def test_a_link_is_refused(words: str, tmp_path: Path) -> None:
    """Nothing is written or removed where it leads to."""
    folder, outside = consumer(tmp_path / "linked"), tmp_path / "outside"
    outside.mkdir()
    (outside / "build.json").write_text("{}", encoding="utf-8")
    (folder / FOLDER).symlink_to(outside)

    ended = invoke(folder, words)

    assert (2, "", LINK.format(state=STATES[words])) == (ended.code, ended.out, ended.err)
    assert ["build.json"] == [path.name for path in outside.iterdir()]


STATES = {
    "image.check": "nothing was done.",
    "image.dockerfile": "nothing was done.",
    "image.build": "nothing was built.",
    "image.push": "nothing was pushed.",
    "image.clean": "nothing was removed.",
}


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """The message says how to make room."""
    (tmp_path / FOLDER).write_text("", encoding="utf-8")

    problem = foreign_records(tmp_path / FOLDER)

    assert problem is not None
    path = tmp_path / FOLDER
    assert (
        f".azureml-image: is not a folder, and the records need its name\n    mv {path} {path}.old"
    ) == str(problem)
