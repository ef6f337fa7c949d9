"""The cached layers of a project on an engine: by which ID they are found, which there are, and which are removed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from azureml_tasks.built_image import StoredLayers
from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.layer_store import DockerLayerStore, found_layers
from azureml_tasks.incremental.cached_layers import kept_name
from azureml_tasks.state import layer_records
from azureml_tasks.state.layer_records import LayerRecord, LayerRecords
from tests.cases import lay_out
from tests.consumers import project
from tests.fake_engine import FakeEngine, json_answer, running_engine
from tests.projects import read

DAY = 86_400
KEY = "0123456789abcdef" * 2
SHARED = "r.example.com/demo/layers"


def moment(days: float) -> str:
    """Return the timestamp of *days* ago, as Docker writes it."""
    return datetime.fromtimestamp(time.time() - days * DAY, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def id_of(tag: str) -> str:
    """Return the ID of the image that a build made for a tag."""
    return f"sha256:{tag.encode().hex():0>64}"


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """An engine without images."""
    with running_engine() as fake:
        yield fake


@pytest.fixture
def store(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerLayerStore:
    """The cached layers of a project on the engine, and a state folder of the test's own."""
    monkeypatch.setattr(layer_records, "user_folder", lambda: tmp_path / "state")
    table = f'shared-layers = "{SHARED}"\n'
    files = {"pyproject.toml": project("demo", table), "code/score.py": "init = run = print\n"}
    folder = lay_out(files, tmp_path / "project")
    plan = read(folder)._replace(project_key=KEY)
    client = EngineClient(context="default", host=engine.host, version="1", api="1.41")
    records = LayerRecords(place="ID", project=KEY, folder=folder)
    return DockerLayerStore(client=client, records=records, plan=plan, reporter=Console())


def has(
    engine: FakeEngine,
    store: DockerLayerStore,
    tag: str,
    *,
    built: float = 5,
    used: float = 5,
    names: tuple[str, ...] = (),
    records: LayerRecords | None = None,
) -> str:
    """Let the engine have layers that were built and used so many days ago, record them, and return their name."""
    name, image_id, records = kept_name(store.plan, tag), id_of(tag), records or store.records
    about = {
        "Id": image_id,
        "Created": moment(built),
        "Size": 7,
        "RepoTags": [name, *names, "other:1"],
        "RootFS": {"Layers": ["base", tag]},
    }
    engine.answers[f"GET /v1.41/images/{image_id}/json"] = json_answer(about)
    engine.answers[f"GET /v1.41/images/{name}/json"] = json_answer(about)
    for each in (name, *names):
        engine.answers[f"DELETE /v1.41/images/{each}"] = json_answer([])
    assert records.write(tag, image_id, name) == ""
    os.utime(records._file(tag), (time.time() - used * DAY,) * 2)  # noqa: SLF001 -- a use that long ago
    return name


def removed(engine: FakeEngine) -> list[str]:
    """Return the names that the engine was asked to remove."""
    return sorted(
        request.removeprefix("DELETE /v1.41/images/")
        for request in engine.requests
        if request.startswith("DELETE ")
    )


def test_layers_are_found_by_the_recorded_id(engine: FakeEngine, store: DockerLayerStore) -> None:
    """Whatever has their name now, and nothing is found without a record."""
    name = has(engine, store, "1", built=1)
    engine.answers[f"GET /v1.41/images/{name}/json"] = json_answer({"Id": id_of("evil")})
    unrecorded = kept_name(store.plan, "2")
    engine.answers[f"GET /v1.41/images/{unrecorded}/json"] = json_answer({"Id": id_of("2")})

    layers = store.find("1")

    assert layers is not None
    assert (id_of("1"), name, ("base", "1"), True) == (layers.id, layers.name, layers.layers, layers.is_kept)
    assert store.find("2") is None
    assert {f"GET /v1.41/images/{id_of('1')}/json"} == set(engine.requests)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"id": "someone-else:tag", "name": "a", "folder": "/"}',
        json.dumps({"id": "sha256:" + "1" * 63, "name": "a", "folder": "/"}),
        json.dumps({"id": "sha256:" + "1" * 64, "name": "a\nb", "folder": "/"}),
        json.dumps({"id": "sha256:" + "1" * 64, "name": "a"}),
        "[" * 100_000,
    ],
)
def test_a_damaged_record_is_none(text: str, engine: FakeEngine, store: DockerLayerStore) -> None:
    """Its layers are built again."""
    has(engine, store, "1")
    store.records._file("1").write_text(text, encoding="utf-8")  # noqa: SLF001 -- nothing damages it otherwise

    assert (None, []) == (store.find("1"), store.all())


def test_records_of_others_are_not_used(engine: FakeEngine, store: DockerLayerStore) -> None:
    """Neither those of another project, nor those of another engine."""
    has(engine, store, "1", records=store.records._replace(project="1" * 32))
    has(engine, store, "2", records=store.records._replace(place="OTHER"))

    assert (None, None, []) == (store.find("1"), store.find("2"), store.all())


def test_a_state_folder_that_cannot_be_written_costs_the_layers_alone(
    engine: FakeEngine, store: DockerLayerStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The build goes on, and the next one builds them again; they get no name, which nobody would remove."""
    (tmp_path / "state").write_text("no folder", encoding="utf-8")
    image = {"Id": id_of("1"), "Created": moment(0), "RepoTags": []}

    store.use("1", found_layers(image, kept_name(store.plan, "1")))

    stderr = capsys.readouterr().err
    assert stderr.startswith(
        "cached layers cannot be recorded, so the next build builds them again: [Errno 20] "
    )
    assert ([], None) == (engine.requests, store.find("1"))


def test_every_name_of_the_project_s_layers_is_listed(engine: FakeEngine, store: DockerLayerStore) -> None:
    """Names of other repositories are not; the newest layers come first; grown layers are marked."""
    first = has(engine, store, "1", built=3, used=2, names=(f"{SHARED}:1",))
    second = has(engine, store, "2-grown", built=1, used=1)
    store.records.write("gone", id_of("gone"), "gone:1")

    rows = [
        (each.name, each.tag, each.id, each.size, each.grown, round((time.time() - each.used_at) / DAY))
        for each in store.all()
    ]
    assert [
        (second, "2-grown", id_of("2-grown"), 7, True, 1),
        *sorted([
            (first, "1", id_of("1"), 7, False, 2),
            (f"{SHARED}:1", "1", id_of("1"), 7, False, 2),
        ]),
    ] == rows  # fmt: skip


def test_only_layers_that_nobody_used_for_a_day_are_removed(
    engine: FakeEngine, store: DockerLayerStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Current layers stay, the last ones before them, and all that were used today."""
    has(engine, store, "current", used=9)
    has(engine, store, "today", used=0.9)
    names = sorted([has(engine, store, "yesterday", used=1.1), has(engine, store, "before", used=5)])

    store.remove_unused({"current"})

    assert names == removed(engine)
    lines = sorted(capsys.readouterr().err.splitlines())
    assert [f"removed cached layers that were not used for a day: {name}" for name in names] == lines
    assert {"current", "today"} == {record.tag for record in store.records.all()}


def test_the_last_layers_before_the_current_ones_stay(engine: FakeEngine, store: DockerLayerStore) -> None:
    """One can go back to them, however long ago they were used."""
    has(engine, store, "current", used=0)
    has(engine, store, "last", used=8)
    old = has(engine, store, "old", used=9)

    store.remove_unused({"current"})

    assert [old] == removed(engine)


def test_layers_of_a_project_that_is_gone_are_removed(
    engine: FakeEngine, store: DockerLayerStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each checkout of a CI system may be another folder; those that exist keep what they have."""
    gone = store.records._replace(project="1" * 32, folder=tmp_path / "gone")
    name = has(engine, store, "1", used=2, records=gone)
    has(engine, store, "2", used=0.5, records=gone)
    has(engine, store, "3", used=9, records=store.records._replace(project="2" * 32, folder=tmp_path))

    store.remove_unused(())

    assert [name] == removed(engine)
    stderr = f"removed cached layers of {tmp_path / 'gone'}, which is gone: {name}\n"
    assert (stderr, ["2"]) == (capsys.readouterr().err, [record.tag for record in gone.all()])


def test_a_name_that_is_somebody_elses_now_stays(
    engine: FakeEngine, store: DockerLayerStore, tmp_path: Path
) -> None:
    """Of a project that is gone only what it has built is removed."""
    gone = store.records._replace(project="1" * 32, folder=tmp_path / "gone")
    name = has(engine, store, "1", used=2, records=gone)
    engine.answers[f"GET /v1.41/images/{name}/json"] = json_answer({"Id": id_of("other")})

    store.remove_unused(())

    assert ([], [LayerRecord("1", id_of("1"), name, str(tmp_path / "gone"))]) == (
        removed(engine),
        [record._replace(used_at=0.0) for record in gone.all()],
    )


def test_layers_in_use_are_not_removed(engine: FakeEngine, store: DockerLayerStore) -> None:
    """An engine refuses to remove an image of a container."""
    name = has(engine, store, "1")
    engine.answers[f"DELETE /v1.41/images/{name}"] = json_answer({"message": "in use"}, 409)

    assert not store.remove(StoredLayers(name=name, tag="1", id=id_of("1"), size=7, built_at=0))
    assert ["1"] == [record.tag for record in store.records.all()]
