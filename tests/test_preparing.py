"""What a command reads of a project, and what it leaves for the next."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from azureml_tasks import project as reading
from azureml_tasks.found import Override
from azureml_tasks.job import Job, prepare
from azureml_tasks.planning import Plan
from azureml_tasks.preparing import remember
from azureml_tasks.records import Records
from azureml_tasks.terminal import Terminal
from tests.cases import lay_out
from tests.consumers import project
from tests.remembering import age, set_text

TABLE = 'tags = ["{git-branch}", "{git-sha}"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed project."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = tmp_path / "demo"
    lay_out(
        {"pyproject.toml": project("demo", TABLE), "code/score.py": "def init(): ...\ndef run(data): ...\n"},
        root,
    )
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    return root


def git(root: Path, *words: str) -> None:
    """Run git."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def commit(root: Path) -> None:
    """Commit everything, and let time pass."""
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=it")
    age(root)


def built(root: Path) -> None:
    """Make the folder of records as a build does, which git does not see."""
    found = Records(folder=root / ".azureml-image")
    found.write_run("ca1", "r.io")
    found.forget_run()


def job(root: Path, *, dry: bool = False, overrides: Mapping[str, Override] | None = None) -> Job:
    """A run of a command."""
    return Job(folder=root, overrides=overrides or {}, engine="docker", terminal=Terminal(dry=dry))


def remembered(run: Job) -> Plan | None:
    """The plan of *run* where nothing is read for it; None where the project is read."""

    class Read(Exception):
        """It is read."""

    def read(*_: object) -> None:
        raise Read

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "read_project", read)
        try:
            return prepare(run)[0]
        except Read:
            return None


def records(root: Path) -> dict[str, tuple[bytes, int]]:
    """The files of `.azureml-image` with what they hold and when they were written."""
    found = (root / ".azureml-image").glob("*.json")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_nothing_is_left_before_the_first_build(folder: Path) -> None:
    """Where nothing was built yet, no command leaves anything, and each reads the project."""
    prepare(job(folder), keep=True)

    assert (False, None) == ((folder / ".azureml-image").exists(), remembered(job(folder)))


def test_what_is_kept_is_remembered(folder: Path) -> None:
    """Once something was built, a command that does more than look keeps the plan, which the next one remembers."""
    built(folder)

    made, context = prepare(job(folder), keep=True)

    again, same = prepare(job(folder))
    assert (made, made) == (remembered(job(folder)), again)
    assert context._replace(known=None) == same._replace(known=None)
    assert "plan.json" in records(folder)


@pytest.mark.parametrize(("keep", "dry"), [(False, False), (True, True)], ids=["a look", "--dry"])
def test_who_only_looks_leaves_nothing(folder: Path, *, keep: bool, dry: bool) -> None:
    """A command that only looks writes nothing, whether there is nothing yet or something else."""
    built(folder)
    prepare(job(folder, dry=dry), keep=keep)
    first = records(folder)
    prepare(job(folder), keep=True)
    before = records(folder)
    set_text(folder / "code/score.py", "def init(): ...\ndef run(data): ...\n# other\n")
    set_text(folder / "code/more.py", "")

    prepare(job(folder, dry=dry), keep=keep)

    assert ({}, before) == (first, records(folder))


CHANGES: dict[str, Callable[[Path], object]] = {
    "another commit": lambda root: git(root, "commit", "--quiet", "--allow-empty", "--message=it"),
    "another branch": lambda root: git(root, "checkout", "--quiet", "-b", "other"),
    "a dirty tree": lambda root: set_text(root / "code/score.py", "def init(): ...\ndef run(date): ...\n"),
    "another remote": lambda root: git(root, "remote", "add", "origin", "https://example.org/it.git"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_git_says_is_asked_each_time(change: str, folder: Path) -> None:
    """Commit, branch, remote and the state of the tree are no files that are read, and count as they are now."""
    built(folder)
    before, _ = prepare(job(folder), keep=True)
    CHANGES[change](folder)
    age(folder)

    assert remembered(job(folder)) is None
    after, _ = prepare(job(folder), keep=True)

    assert before != after
    assert after == remembered(job(folder))


def test_a_flag_is_another_question(folder: Path) -> None:
    """The plan of a run with a flag is remembered for that flag alone, until another one takes its place."""
    built(folder)
    flag = {"tags": Override(value=["one"], source="--tag")}
    prepare(job(folder), keep=True)
    before = remembered(job(folder, overrides=flag))

    made, _ = prepare(job(folder, overrides=flag), keep=True)

    assert (None, ("demo:one",), made, None) == (
        before,
        made.names,
        remembered(job(folder, overrides=flag)),
        remembered(job(folder)),
    )


def test_a_first_build_leaves_what_it_knows(folder: Path) -> None:
    """Before it there was no folder for that; what is remembered already is not read again."""
    made, context = prepare(job(folder), keep=True)
    built(folder)

    remember(job(folder), context.known)

    assert made == remembered(job(folder))
    before = records(folder)
    set_text(folder / "pyproject.toml", project("other", TABLE))
    remember(job(folder), context.known)
    assert before == records(folder)


def test_what_is_wrong_after_a_build_is_said_by_the_next(folder: Path) -> None:
    """A table that was broken while an image was built does not make a failure of the build that was done."""
    _, context = prepare(job(folder), keep=True)
    built(folder)
    set_text(folder / "pyproject.toml", "[")

    remember(job(folder), context.known)

    assert "plan.json" not in records(folder)
