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
from azureml_tasks.state.locks import engine_lock, project_lock
from azureml_tasks.state.user_folder import user_folder

HOLDER = """\
import sys
from pathlib import Path
from azureml_tasks.cli.console import Console
from azureml_tasks.state.locks import engine_lock, project_lock

folder = Path(sys.argv[1])
lock = engine_lock("ID", "demo", folder, Console()) if sys.argv[2] == "engine" else project_lock(folder, Console())
with lock:
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


def held(kind: str, project: Path, state: Path) -> subprocess.Popen[str]:
    """Start another process that holds a lock until its input ends."""
    env = {**os.environ, "XDG_STATE_HOME": str(state)}
    words = [sys.executable, "-c", HOLDER, str(project), kind]
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


@pytest.fixture(params=["project", "engine"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of lock."""
    return str(request.param)


@pytest.fixture
def other(kind: str, project: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    with held(kind, project, state) as process:
        yield process


def lock(kind: str, project: Path, console: Console) -> None:
    """Take a lock and release it."""
    if kind == "engine":
        with engine_lock("ID", "demo", project, console):
            pass
    else:
        with project_lock(project, console):
            pass


def test_waits_for_another_process_and_names_it(
    kind: str, other: subprocess.Popen[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that finds the lock taken says who has it since when, and goes on once it is released."""
    (owner,) = (user_folder() / "locks").glob("*.json")
    since = json.loads(owner.read_bytes())["since"]

    class Ending(Console):
        """Ends the other process once something is said."""

        def say(self, text: str) -> None:
            super().say(text)
            ended(other)

    lock(kind, project, Ending())

    said = capsys.readouterr().err
    clock = time.strftime("%H:%M:%S", time.localtime(since))
    holder = f"process {other.pid} in {project}, since {clock}"
    assert f"waiting up to ten minutes for another command: {holder}\n" == said


def test_a_project_is_not_touched_after_ten_minutes(
    project: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the other command; its exit code is 3."""
    monkeypatch.setattr(locks, "_TIMEOUT", 0.2)
    with held("project", project, state) as other:
        with pytest.raises(EngineError) as caught, project_lock(project, Console()):
            pass
        ended(other)

    assert f"process {other.pid} in {project}, since " in caught.value.what
    assert (3, "Nothing was done.") == (caught.value.exit_code, caught.value.state)


def test_a_build_goes_on_after_ten_minutes(
    project: Path, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lock of an engine only saves work, so a build that has waited long enough runs without it."""
    monkeypatch.setattr(locks, "_TIMEOUT", 0.2)
    with held("engine", project, state) as other:
        lock("engine", project, Console())
        ended(other)

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"continuing while it still builds: process {other.pid} in {project}, since ")


def test_dry_runs_never_wait(
    kind: str, other: subprocess.Popen[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under --dry no lock is taken."""
    lock(kind, project, Console(dry=True))
    ended(other)

    assert capsys.readouterr() == ("", "")


def test_a_killed_process_holds_nothing(
    kind: str, other: subprocess.Popen[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The system releases the lock of a process that ends in any way."""
    other.kill()
    other.wait()

    lock(kind, project, Console())

    assert capsys.readouterr() == ("", "")


def test_other_projects_and_names_do_not_wait(
    kind: str, other: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lock is that of one project, or of one name on one engine."""
    console = Console()
    with (
        project_lock(tmp_path, console),
        engine_lock("ID", "other", tmp_path, console),
        engine_lock("OTHER", "demo", tmp_path, console),
    ):
        pass
    ended(other)

    assert (kind, "") == (kind, capsys.readouterr().err)


def test_a_project_is_its_real_path(
    project: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to the folder is the same project."""
    monkeypatch.setattr(locks, "_TIMEOUT", 0.2)
    (tmp_path / "link").symlink_to(project)
    with held("project", project, state) as other:
        with pytest.raises(EngineError), project_lock(tmp_path / "link", Console()):
            pass
        ended(other)


def test_without_a_state_folder_there_is_no_lock(
    kind: str, state: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No result depends on a lock, so the command goes on and says why there is none."""
    state.write_text("no folder", encoding="utf-8")

    lock(kind, project, Console())

    said = capsys.readouterr().err
    assert said.startswith(f"continuing without a lock, since {user_folder() / 'locks'} cannot be used: ")
