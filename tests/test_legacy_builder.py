"""The legacy builder and its cache, from which other commands remove images at any moment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.docker import build as docker_build
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.errors import BuildError
from azureml_tasks.state.runs import Run
from tests.plans import plan

GONE, THERE = "5f70bf18a086", "0123456789ab"
ERROR = "failed to export image: failed to set parent sha256:1: unknown parent image ID sha256:5f70bf18a086"
LOST = f'unable to find image "sha256:{"5f" * 32}"'
"""The error if an image is removed that the builder only looked at."""
AGAIN = "the builder's cache has lost a step to another command, building again\n"


def built(failures: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, *, error: str = ERROR) -> str:
    """Build on an engine whose builds fail with *error* after a step with one of these images, and then succeed."""

    def events(*_: object, **__: object) -> Iterator[dict[str, Any]]:
        if not failures:
            yield {"aux": {"ID": "sha256:5f"}}
            return
        yield {"stream": f" ---> {failures.pop(0)}\n"}
        yield {"error": error}

    monkeypatch.setattr(docker_build, "build_events", events)
    monkeypatch.setattr(EngineClient, "confirm_alive", lambda _: None)
    monkeypatch.setattr(
        EngineClient, "inspect_image", lambda _, image: None if image == GONE else {"Id": image}
    )
    client = EngineClient(context="default", host="unix:///nowhere", version="20.10.24", api="1.41")
    build = Build(
        client=client,
        builder=Builder(kind="legacy", why="a test"),
        reporter=Console(),
        tracked=Run(folder, client.host),
    )
    try:
        context = BuildContext(files=(), dockerfile="FROM b:1\n", sha256="0")
        return build.run(plan(), context, no_cache=False)
    finally:
        build.tracked.close()


@pytest.mark.parametrize(
    ("step", "error"), [(GONE, ERROR), (THERE, LOST)], ids=["a step of the build", "a step of another build"]
)
def test_a_lost_step_is_built_again(
    step: str,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A step of the cache that is removed while it is used, or looked at, says nothing of the project."""
    image = built([step, step], tmp_path, monkeypatch, error=error)

    assert ("sha256:5f", AGAIN * 2) == (
        image,
        "".join(re.findall(f"^{AGAIN}", capsys.readouterr().err, re.MULTILINE)),
    )


@pytest.mark.parametrize(("step", "tries"), [(GONE, 3), (THERE, 1)])
def test_another_failure_is_shown_at_once(
    step: str, tries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is a step that is lost again and again."""
    failures = [step] * 5
    with pytest.raises(BuildError) as caught:
        built(failures, tmp_path, monkeypatch)

    assert (ERROR, 5 - tries) == (caught.value.said, len(failures))
