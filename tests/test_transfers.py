"""What takes long gets a bar: the build context, a pull, a push and an upload, each with the bytes of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.storage.blob import BlobClient

from azureml_tasks.cli.console import Console
from azureml_tasks.cli.options import TaskRun
from azureml_tasks.cli.output import write_archive
from azureml_tasks.cli.progress import PROGRESS
from azureml_tasks.commands.export import context_archive
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.context.context_file import ContextFile
from azureml_tasks.engines.acr.tasks_api import UploadTarget
from azureml_tasks.engines.acr.upload import upload
from azureml_tasks.engines.docker import build as docker_build
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.pull import pull_image
from azureml_tasks.engines.docker.push import push_image
from azureml_tasks.state.runs import Run
from tests.cases import lay_out
from tests.consumers import project
from tests.plans import plan

SCORE = "def init(): ...\ndef run(data): ...\n"
CONTEXT = BuildContext(
    files=(ContextFile(name="code/a.py", data=b"a" * 700, size=700),),
    dockerfile="FROM b:1\nRUN true\nCOPY code/ /code/\n",
    sha256="0",
)
ID = f"sha256:{'1' * 64}"


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What has a bar, and its bytes."""
    shown: list[tuple[str, int]] = []

    def progress(_: Console, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        shown.append((label, total))
        yield from blocks

    monkeypatch.setattr(Console, "progress", progress)
    return shown


def client(**methods: Any) -> EngineClient:
    """Return the client of an engine whose API has these *methods*."""
    engine = EngineClient(context="default", host="unix:///nowhere", version="1", api="1.41")
    images = SimpleNamespace(get_registry_data=lambda *_, **__: SimpleNamespace(id=ID))
    engine.__dict__["sdk"] = SimpleNamespace(api=SimpleNamespace(**methods), images=images)
    return engine


def test_a_context_that_is_written_has_a_bar(bars: list[tuple[str, int]], tmp_path: Path) -> None:
    """Its bytes are those of the files."""
    folder = lay_out({"pyproject.toml": project("demo"), "code/score.py": SCORE}, tmp_path)
    run = RunContext(folder=folder, reporter=Console())
    task = TaskRun("context", run, Console(), {}, no_cache=False, pull=False)

    write_archive(task, tmp_path / "context.tar", context_archive(run))

    assert [("packing the build context", len(SCORE))] == bars


@pytest.mark.parametrize("kind", ["legacy", "buildx"])
def test_a_context_that_is_sent_to_a_builder_has_a_bar(
    kind: str, bars: list[tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the API and by docker's client."""

    def build_events(_: EngineClient, archive: Iterable[bytes], *__: Any, **___: Any) -> Iterator[Any]:
        yield {"aux": {"ID": ID}, "bytes": len(b"".join(archive))}

    def stream(argv: Sequence[str], *, feed: Iterable[bytes], **_: Any) -> int:
        file = Path(argv[argv.index("--metadata-file") + 1])
        file.write_text(f'{{"containerimage.digest": "{ID}", "bytes": {len(b"".join(feed))}}}')
        return 0

    monkeypatch.setattr(docker_build, "build_events", build_events)
    monkeypatch.setattr(docker_build, "stream", stream)
    tracked = Run(tmp_path, "unix:///nowhere")
    build = Build(client=client(), builder=Builder(kind, "a test"), reporter=Console(), tracked=tracked)

    image_id = build.run(plan(), CONTEXT, no_cache=False)
    tracked.close()

    assert (ID, [("sending the build context", 700)]) == (image_id, bars)


def test_a_context_that_is_uploaded_has_a_bar(
    bars: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are those of the files, before they are compressed."""
    blob = SimpleNamespace(upload_blob=lambda *_, **__: None)
    monkeypatch.setattr(BlobClient, "from_blob_url", lambda *_, **__: nullcontext(blob))

    upload(UploadTarget(url="https://storage.example/a", path="a"), CONTEXT.files, Console())

    assert [("uploading the build context", 700)] == bars


@pytest.mark.parametrize(("moving", "last"), [("Downloading", "Pull complete"), ("Pushing", "Pushed")])
def test_a_layer_that_is_pulled_or_pushed_has_a_bar(
    moving: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine says how much of it has moved, and how large it is."""
    shown: list[tuple[str, int, int, bool]] = []

    def layer(name: str, current: int, total: int, *, has_arrived: bool) -> bool:
        shown.append((name, current, total, has_arrived))
        return True

    monkeypatch.setattr(PROGRESS, "layer", layer)
    events = [
        {"id": "abc", "status": moving, "progressDetail": {"current": 1000, "total": 4000}},
        {"id": "abc", "status": last},
    ]
    engine = client(pull=lambda *_, **__: events, push=lambda *_, **__: events)
    monkeypatch.setattr(EngineClient, "tag_image", lambda *_: None)

    if moving == "Pushing":
        push_image(engine, ID, "r.io/demo:1", Console())
    else:
        assert "" == pull_image(engine, "r.io/demo", "1", Console())

    assert [("abc", 1000, 4000, False), ("abc", 4000, 4000, True)] == shown
