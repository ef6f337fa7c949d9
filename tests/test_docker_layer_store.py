"""The cached layers of a project on an engine: which there are, and which are removed as unused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.built_image import StoredLayers
from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.layer_store import DockerLayerStore
from azureml_tasks.state import last_use
from tests.cases import lay_out
from tests.consumers import project
from tests.fake_engine import FakeEngine, json_answer, running_engine
from tests.projects import read

DAY = 86_400
NAME = "azureml-tasks.invalid/demo/layers"
SHARED = "r.example.com/demo/layers"
FILTER = "%7B%22reference%22%3A+%5B%22azureml-tasks.invalid%2Fdemo%2Flayers%22%5D%7D"


def moment(days: float) -> str:
    """Return the timestamp of *days* ago, as Docker writes it."""
    return datetime.fromtimestamp(time.time() - days * DAY, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def image(tag: str, *, built: float, tagged: float | None, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what the engine knows of layers that were built and tagged so many days ago."""
    return {
        "Id": f"sha256:{tag}",
        "Created": moment(built),
        "Size": 7,
        "RepoTags": [f"{NAME}:{tag}", *names, "other:1"],
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z" if tagged is None else moment(tagged)},
    }


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """An engine without images."""
    with running_engine() as found:
        yield found


@pytest.fixture
def store(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerLayerStore:
    """The cached layers of a project on the engine, and a state folder of the test's own."""
    monkeypatch.setattr(last_use, "user_folder", lambda: tmp_path / "state")
    table = f'shared-layers = "{SHARED}"\n'
    files = {"pyproject.toml": project("demo", table), "code/score.py": "init = run = print\n"}
    plan = read(lay_out(files, tmp_path / "project"))
    client = EngineClient(context="default", host=engine.host, version="1", api="1.41")
    return DockerLayerStore(client=client, engine_id="ID", plan=plan, reporter=Console())


def has(engine: FakeEngine, *images: dict[str, Any]) -> None:
    """Let the engine have *images*, and remove whatever it is asked to."""
    engine.answers[f"GET /v1.41/images/json?filters={FILTER}"] = json_answer(images)
    for each in images:
        engine.answers[f"GET /v1.41/images/{each['Id']}/json"] = json_answer(each)
        for name in each["RepoTags"]:
            engine.answers[f"DELETE /v1.41/images/{name}"] = json_answer([])
            engine.answers[
                f"POST /v1.41/images/{each['Id']}/tag?repo={name.rpartition(':')[0].replace('/', '%2F')}"
                f"&tag={name.rpartition(':')[2]}"
            ] = (201, b"")


def test_every_tag_of_the_project_is_listed(engine: FakeEngine, store: DockerLayerStore) -> None:
    """Tags of other repositories are not; the newest layers come first; grown layers are marked."""
    has(
        engine,
        image("1", built=3, tagged=2, names=(f"{SHARED}:1",)),
        image("2-grown", built=1, tagged=None),
    )

    listed = store.all()

    rows = [
        (each.name, each.id, each.size, each.grown, round((time.time() - each.used_at) / DAY))
        for each in listed
    ]
    assert [
        (f"{NAME}:2-grown", "sha256:2-grown", 7, True, 1),
        (f"{NAME}:1", "sha256:1", 7, False, 2),
        (f"{SHARED}:1", "sha256:1", 7, False, 2),
    ] == rows


def removed(engine: FakeEngine) -> list[str]:
    """Return the names that the engine was asked to remove."""
    return [request.rpartition("/layers:")[2] for request in engine.requests if request.startswith("DELETE ")]


def test_only_layers_that_nobody_used_for_a_day_are_removed(
    engine: FakeEngine, store: DockerLayerStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Current layers stay, the last ones before them, and all that were tagged today."""
    has(
        engine,
        image("current", built=9, tagged=9),
        image("today", built=9, tagged=0.9),
        image("yesterday", built=9, tagged=1.1),
        image("never-tagged", built=5, tagged=None),
    )

    store.remove_unused({"current"})

    assert ["never-tagged", "yesterday"] == sorted(removed(engine))
    assert (
        f"removed cached layers that were not used for a day: {NAME}:never-tagged\n"
        f"removed cached layers that were not used for a day: {NAME}:yesterday\n"
    ) == capsys.readouterr().err


def test_the_last_layers_before_the_current_ones_stay(engine: FakeEngine, store: DockerLayerStore) -> None:
    """One can go back to them, however long ago they were used."""
    has(
        engine,
        image("current", built=1, tagged=0),
        image("last", built=9, tagged=8),
        image("old", built=9, tagged=9),
    )

    store.remove_unused({"current"})

    assert ["old"] == removed(engine)


def test_a_use_counts_on_an_engine_that_ignores_tags(
    engine: FakeEngine, store: DockerLayerStore, tmp_path: Path
) -> None:
    """With images in containerd a tag that is there already is not renewed, so each use is noted here too."""
    used, unused = image("used", built=9, tagged=9), image("unused", built=9, tagged=9)
    has(engine, used, unused, image("last", built=9, tagged=8))

    store.use(f"{NAME}:used", used["Id"])
    store.remove_unused(())

    assert ["last", "unused"] == sorted(removed(engine))
    noted = tuple((tmp_path / "state/used").iterdir())
    assert (1, True) == (len(noted), time.time() - noted[0].stat().st_mtime < DAY)


def test_layers_in_use_are_not_removed(engine: FakeEngine, store: DockerLayerStore) -> None:
    """An engine refuses to remove an image of a container."""
    layers = StoredLayers(name=f"{NAME}:1", id="sha256:1", size=7, built_at=0)
    engine.answers[f"DELETE /v1.41/images/{NAME}:1"] = json_answer({"message": "in use"}, 409)

    assert not store.remove(layers)
