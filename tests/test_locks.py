"""Locks between commands: who waits for whom, and what is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.errors import EngineError
from azureml_tasks.state import locks
from azureml_tasks.state.locks import project_lock
from azureml_tasks.state.user_folder import user_folder

HOLDER = """\
import sys
from pathlib import Path
from azureml_tasks.cli.console import Console
from azureml_tasks.state.locks import project_lock

folder = Path(sys.argv[1])
with project_lock(folder, Console()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    folder = tmp_path / "state"
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(locks, "user_folder", lambda: folder / "azureml-tasks")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def held(project: Path, state: Path) -> subprocess.Popen[str]:
    """Start another process that holds a lock until its input ends."""
    env = {**os.environ, "XDG_STATE_HOME": str(state)}
    words = [sys.executable, "-c", HOLDER, str(project)]
    process = subprocess.Popen(
        words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    """End the process, whose lock is then free."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


@pytest.fixture
def other(project: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    with held(project, state) as process:
        yield process


def lock(project: Path, console: Console) -> None:
    """Take the lock and release it."""
    with project_lock(project, console):
        pass


def test_waits_for_another_process_and_names_it(
    other: subprocess.Popen[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that finds the lock taken says who has it since when, and goes on once it is released."""
    (owner,) = (user_folder() / "locks").glob("*.json")
    since = json.loads(owner.read_bytes())["since"]

    class Ending(Console):
        """Ends the other process once something is said."""

        def say(self, text: str) -> None:
            super().say(text)
            ended(other)

    lock(project, Ending())

    stderr = capsys.readouterr().err
    clock = time.strftime("%H:%M:%S", time.localtime(since))
    holder = f"process {other.pid} in {project}, since {clock}"
    assert f"waiting up to ten minutes for another command: {holder}\n" == stderr


def test_a_project_is_not_touched_after_ten_minutes(
    project: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the other command; its exit code is 3."""
    monkeypatch.setattr(locks, "_TIMEOUT", 0.2)
    with held(project, state) as other:
        with pytest.raises(EngineError) as caught, project_lock(project, Console()):
            pass
        ended(other)

    assert f"process {other.pid} in {project}, since " in caught.value.what
    assert (3, "Nothing was done.") == (caught.value.exit_code, caught.value.state)


def test_dry_runs_never_wait(
    other: subprocess.Popen[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under --dry no lock is taken."""
    lock(project, Console(dry=True))
    ended(other)

    assert capsys.readouterr() == ("", "")


def test_a_killed_process_holds_nothing(
    other: subprocess.Popen[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The system releases the lock of a process that ends in any way."""
    other.kill()
    other.wait()

    lock(project, Console())

    assert capsys.readouterr() == ("", "")


def test_other_projects_do_not_wait(
    other: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lock is that of one project."""
    lock(tmp_path, Console())
    ended(other)

    assert "" == capsys.readouterr().err


def test_a_project_is_its_real_path(
    project: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to the folder is the same project."""
    monkeypatch.setattr(locks, "_TIMEOUT", 0.2)
    (tmp_path / "link").symlink_to(project)
    with held(project, state) as other:
        with pytest.raises(EngineError), project_lock(tmp_path / "link", Console()):
            pass
        ended(other)


def test_without_a_state_folder_there_is_no_lock(
    state: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No result depends on a lock, so the command goes on and says why there is none."""
    state.write_text("no folder", encoding="utf-8")

    lock(project, Console())

    stderr = capsys.readouterr().err
    assert stderr.startswith(f"continuing without a lock, since {user_folder() / 'locks'} cannot be used: ")
