"""What runs note of what they make: for a later command if they were killed, for nobody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from azureml_tasks.state import runs
from azureml_tasks.state.runs import Run, Thing, gone_runs, has_gone_runs, remove_folder

HOST = "unix:///run/docker.sock"
CHILD = f"""\
import sys
from pathlib import Path
from azureml_tasks.state.runs import Run, Thing

run = Run(Path(sys.argv[1]), "{HOST}")
run.note(Thing("image", "a:1", "sha256:1"))
run.note(Thing("container", "one"))
run.note(Thing("container", "two"))
run.forget(Thing("container", "two"))
print(run.id, flush=True)
sys.stdin.read()
"""
LEFT = [Thing("container", "one"), Thing("image", "a:1", "sha256:1")]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(runs, "user_folder", lambda: tmp_path / "state" / "azureml-tasks")
    return tmp_path / "state"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """The folder of a project's records."""
    folder = tmp_path / "project" / ".azureml-image"
    folder.mkdir(parents=True)
    return folder


@contextmanager
def living(records: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a run in another process, which is killed at the end; yields the process and the run's ID."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(records)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def gone(records: Path) -> list[tuple[str, str, list[Thing]]]:
    """Return the runs of the project that are gone."""
    return [(run.id, run.host, run.things) for run in gone_runs(records)]


def files(state: Path) -> list[str]:
    """Return the names of all files in the state folder."""
    return sorted(path.name for path in state.rglob("*") if path.is_file())


def test_a_killed_run_is_found_with_what_it_has_left(records: Path) -> None:
    """It is found until everything is removed, containers before images, and only by its own project."""
    with living(records) as (_, run_id):
        pass
    other = records.parent.parent / "other" / ".azureml-image"

    assert [(run_id, HOST, LEFT)] == gone(records) == gone(records)
    assert [] == gone(other)


def test_a_run_that_lives_is_not_found(records: Path) -> None:
    """What a command is using now is nobody's leftover."""
    with living(records):
        assert ([], False) == (gone(records), has_gone_runs(records))

    assert has_gone_runs(records)


def test_what_is_removed_is_forgotten_with_the_run(records: Path, state: Path) -> None:
    """After the last thing nothing of the run stays, not even its lock."""
    with living(records):
        pass
    for run in gone_runs(records):
        for thing in run.things:
            run.forget(thing)

    assert ([], []) == (gone(records), files(state))


def test_a_run_that_removed_everything_leaves_no_file(records: Path, state: Path) -> None:
    """The usual end."""
    run = Run(records, HOST)
    run.note(LEFT[0])
    with run.folder() as folder:
        assert folder.parent == records
        assert folder.is_dir()
    run.forget(LEFT[0])
    run.close()

    assert ([], []) == (files(state), list(records.iterdir()))


def test_a_run_that_makes_nothing_writes_nothing(records: Path, state: Path) -> None:
    """Most commands make nothing that must be removed."""
    Run(records, HOST).close()

    assert [] == files(state)


def test_a_run_that_could_not_remove_something_is_found_after_its_end(records: Path) -> None:
    """Such as a container of an engine that has died."""
    run = Run(records, HOST)
    run.note(LEFT[0])
    assert [] == gone(records)
    run.close()

    assert [(run.id, HOST, LEFT[:1])] == gone(records)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"host": "h"}', '{"host": "h", "things": 1}', '{"host": "h", "things": [["disk", "/"]]}'],
)
def test_a_damaged_note_is_dropped(text: str, records: Path, state: Path) -> None:
    """Nothing is removed because of it, and it goes."""
    with living(records):
        pass
    (note,) = state.rglob("*.json")
    note.write_text(text, encoding="utf-8")

    assert not has_gone_runs(records)
    assert [] == files(state)


def test_without_a_state_folder_a_run_goes_on(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is noted where nothing can be written; what this process removes itself is removed."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(runs, "user_folder", lambda: tmp_path / "file")
    run = Run(records, HOST)
    with run.folder():
        run.note(LEFT[0])
        assert [] == gone(records)
    run.close()

    assert LEFT[:1] == run.things
    assert [] == list(records.iterdir())


@pytest.mark.parametrize("name", ["../code", "staged", "/etc", "run-1/../../code", ""])
def test_only_a_folder_of_a_run_is_removed(name: str, records: Path) -> None:
    """A note that names another folder removes nothing."""
    (records.parent / "code").mkdir()
    (records / "staged").mkdir()

    remove_folder(records, Thing("folder", name))

    assert [True, True] == [(records.parent / "code").is_dir(), (records / "staged").is_dir()]


def test_each_name_is_new(records: Path) -> None:
    """Two runs never have one name, and neither do two things of one run."""
    names = [run.new_name() for run in (Run(records, HOST), Run(records, HOST)) for _ in range(2)]

    assert 4 == len(set(names))
