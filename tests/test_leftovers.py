"""What is removed from an engine when a run ends, and what later commands remove if it was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.leftovers import (
    container_name,
    keep_image,
    remove_leftovers,
    temporary_reference,
    tracked_run,
)
from azureml_tasks.state import runs
from azureml_tasks.state.runs import Run, Thing, left_behind
from tests.fake_engine import FakeEngine, json_answer, running_engine

API = "/v1.41"
CONTAINER = Thing("container", "azureml-image-1")
IMAGE = Thing("image", "azureml-tasks.invalid/run:1")
PUSHED = Thing("image", "r.example.com/demo:1", "sha256:ours")
FOLDER = Thing("folder", "run-1")
REMOVE = "?force=1&v=1"
PROGRAM = """\
import os, pathlib, signal, sys
from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.leftovers import tracked_run
from azureml_tasks.state import runs
state, records, host = sys.argv[1:]
runs.user_folder = lambda: pathlib.Path(state)
client = EngineClient(context="default", host=host, version="1", api="1.41")
with tracked_run(client, pathlib.Path(records), Console()) as run:
    run.note(runs.Thing("container", "azureml-image-1"))
    os.kill(os.getpid(), signal.SIGTERM)
"""
"""A program that SIGTERM ends while it has a container."""


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """An engine that has nothing."""
    with running_engine() as fake:
        yield fake


@pytest.fixture
def client(engine: FakeEngine) -> EngineClient:
    """Its client."""
    return EngineClient(context="default", host=engine.host, version="1", api="1.41")


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project's records, and a state folder of the test's own."""
    monkeypatch.setattr(runs, "user_folder", lambda: tmp_path / "state")
    monkeypatch.setattr(runs, "left_behind", left_behind)
    left_behind.clear()
    folder = tmp_path / "project" / ".azureml-image"
    folder.mkdir(parents=True)
    return folder


def has(engine: FakeEngine, *things: Thing, image_id: str = "sha256:ours") -> None:
    """Let the engine have *things*, and remove them when it is asked to."""
    for thing in things:
        if thing.kind == "container":
            engine.answers[f"GET {API}/containers/{thing.name}/json"] = json_answer({"Id": "1"})
            engine.answers[f"DELETE {API}/containers/{thing.name}{REMOVE}"] = (204, b"")
        else:
            engine.answers[f"GET {API}/images/{thing.name}/json"] = json_answer({"Id": image_id})
            engine.answers[f"DELETE {API}/images/{thing.name}"] = json_answer([])


def killed(records: Path, host: str, *things: Thing) -> None:
    """Leave the note of a run that ended without removing *things*."""
    run = Run(records, host)
    for thing in things:
        run.note(thing)
    run.close()


def removals(engine: FakeEngine) -> list[str]:
    """Return what the engine was asked to remove."""
    return [request.partition(API)[2] for request in engine.requests if request.startswith("DELETE")]


def test_a_run_removes_what_it_noted(engine: FakeEngine, client: EngineClient, records: Path) -> None:
    """Containers with their anonymous volumes go first, then references of images; nothing is left to note."""
    has(engine, CONTAINER, IMAGE)
    with suppress(KeyError), tracked_run(client, records, Console()) as run:
        run.note(IMAGE)
        run.note(CONTAINER)
        raise KeyError

    assert [f"/containers/{CONTAINER.name}{REMOVE}", f"/images/{IMAGE.name}"] == removals(engine)
    assert ([], []) == (left_behind, remove_leftovers(client, records, Console()))


def test_images_that_are_kept_lose_their_reference_to_another_image(
    engine: FakeEngine, client: EngineClient, records: Path
) -> None:
    """An engine deletes an image with its last reference, so the reference names another image as it is removed."""
    with tracked_run(client, records, Console()) as run:
        reference = temporary_reference(run)
        tag = reference.rpartition(":")[2]
        move = f"POST {API}/images/sha256:base/tag?repo=azureml-tasks.invalid%2Frun&tag={tag}"
        engine.answers[move] = (201, b"")
        has(engine, Thing("image", reference))
        keep_image(client, run, "sha256:ours", "sha256:base")

    path = f"{API}/images/{reference}"
    assert [f"GET {path}/json", move, f"DELETE {path}"] == engine.requests


def test_names_have_the_id_of_the_run(client: EngineClient, records: Path) -> None:
    """Whoever looks at the engine sees which run something belongs to."""
    with tracked_run(client, records, Console()) as run:
        names = [container_name(run), temporary_reference(run)]

        assert [f"azureml-image-{run.id}-1", f"azureml-tasks.invalid/run:{run.id}-2"] == names


def test_what_the_engine_is_removing_already_is_waited_for(
    engine: FakeEngine, client: EngineClient, records: Path
) -> None:
    """An engine that ends the container of a build refuses to remove it a second time."""
    has(engine, CONTAINER)
    engine.answers[f"DELETE {API}/containers/{CONTAINER.name}{REMOVE}"] = json_answer({"message": "no"}, 409)
    engine.answers[f"POST {API}/containers/{CONTAINER.name}/wait?condition=removed"] = json_answer({})
    with tracked_run(client, records, Console()) as run:
        run.note(CONTAINER)

    assert [] == left_behind


def test_what_an_engine_does_not_remove_is_said_and_tried_again(
    engine: FakeEngine, client: EngineClient, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that fails ends no command; what it has left stays noted."""
    has(engine, CONTAINER)
    engine.answers[f"DELETE {API}/containers/{CONTAINER.name}{REMOVE}"] = json_answer({"message": "no"}, 500)
    with tracked_run(client, records, Console()) as run:
        run.note(CONTAINER)
    stderr = capsys.readouterr().err
    left = list(left_behind)
    has(engine, CONTAINER)

    name = f"container {CONTAINER.name}"
    words = f"warning: {name} could not be removed now; the next command of this project tries again\n"
    assert (words, [name]) == (stderr, left)
    assert [name] == remove_leftovers(client, records, Console())


def test_leftovers_of_a_killed_run(engine: FakeEngine, client: EngineClient, records: Path) -> None:
    """Container, image and staged files go once, each; then nothing is asked of the engine any more."""
    has(engine, CONTAINER, IMAGE, PUSHED)
    (records / FOLDER.name / "code").mkdir(parents=True)
    killed(records, client.host, FOLDER, PUSHED, IMAGE, CONTAINER)

    expected = [str(thing) for thing in (CONTAINER, PUSHED, IMAGE, FOLDER)]
    assert expected == remove_leftovers(client, records, Console())
    assert [] == list(records.iterdir())
    asked = len(engine.requests)
    assert ([], asked) == (remove_leftovers(client, records, Console()), len(engine.requests))


def test_a_program_without_a_handler_of_sigterm(
    engine: FakeEngine, client: EngineClient, records: Path
) -> None:
    """SIGTERM ends such a program, for example pytest, in the middle of a run; the next command removes its things."""
    has(engine, CONTAINER)
    state = records.parent.parent / "state"
    program = [sys.executable, "-c", PROGRAM, str(state), str(records), client.host]
    ended = subprocess.run(program, check=False)

    assert (-signal.SIGTERM, []) == (ended.returncode, removals(engine))
    assert [str(CONTAINER)] == remove_leftovers(client, records, Console())


def test_a_reference_that_means_another_image_now_stays(
    engine: FakeEngine, client: EngineClient, records: Path
) -> None:
    """A name that somebody gave to another image after the run is theirs."""
    has(engine, PUSHED, image_id="sha256:theirs")
    killed(records, client.host, PUSHED)

    assert ([], []) == (remove_leftovers(client, records, Console()), removals(engine))


def test_what_is_gone_already_is_not_said_to_be_removed(
    engine: FakeEngine, client: EngineClient, records: Path
) -> None:
    """Such as a container that its user has removed."""
    killed(records, client.host, CONTAINER, IMAGE, FOLDER)

    assert ([], []) == (remove_leftovers(client, records, Console()), removals(engine))


def test_another_engine_is_not_asked(engine: FakeEngine, client: EngineClient, records: Path) -> None:
    """What was left on another engine waits for a command that uses it; staged files go now."""
    has(engine, CONTAINER)
    (records / FOLDER.name).mkdir()
    killed(records, "unix:///other.sock", CONTAINER, FOLDER)

    assert ([str(FOLDER)], []) == (remove_leftovers(client, records, Console()), engine.requests)
    assert [[CONTAINER]] == [run.things for run in runs.gone_runs(records)]


def test_a_dry_run_only_shows_the_commands(
    engine: FakeEngine, client: EngineClient, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands can be pasted, and nothing is removed."""
    has(engine, CONTAINER, IMAGE)
    (records / FOLDER.name).mkdir()
    killed(records, client.host, CONTAINER, IMAGE, FOLDER)

    assert [] == remove_leftovers(client, records, Console(dry=True))
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    expected = [
        f"docker rm --force --volumes {CONTAINER.name}",
        f"docker rmi {IMAGE.name}",
        f"rm -r {records / FOLDER.name}",
    ]
    assert (expected, []) == ([line.removeprefix("$ ") for line in lines], removals(engine))
    assert (records / FOLDER.name).is_dir()


def test_an_engine_in_trouble_keeps_no_command_from_starting(records: Path) -> None:
    """The command itself says what is wrong with the engine."""
    killed(records, "unix:///no-such.sock", CONTAINER)
    gone = EngineClient(context="default", host="unix:///no-such.sock", version="1", api="1.41")

    assert [] == remove_leftovers(gone, records, Console())
    assert [[CONTAINER]] == [run.things for run in runs.gone_runs(records)]
