"""`shared-layers`: cached layers in a registry for several machines with local engines."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import docker
import pytest

from tests.machine import registry as plain_registry
from tests.real.built_project import derived
from tests.real.support import Consumer, consumer, normal, removed_after, tags_of, unique

MORE = """
model = "model"
cached-layers-max-age = 7

[[tool.azureml-image.run]]
after = "apt"
command = ": > /etc/{word}"
"""
SCORE = "def init(): pass\ndef run(data): return data\n"
FILES: dict[str, str | bytes] = {
    "code/score.py": SCORE,
    "model/weights.bin": b"\0" * 5_000_000,
}


@pytest.fixture
def shared(tiny_base: str, registry: plain_registry.Registry, tmp_path: Any) -> Consumer:
    """Return a project with shared layers."""
    name = unique("shared")
    more = f'shared-layers = "{registry.host}/{name}/layers"\n{MORE.format(word=name)}'
    table = f'[project]\nname = "{name}"\nversion = "1"\n\n[tool.azureml-image]\nbase = "{tiny_base}"\n{more}'
    return consumer(tmp_path / name, {"pyproject.toml": table, **FILES})


def on_another_machine(client: docker.DockerClient, project: Consumer) -> Consumer:
    """Remove the project's images from the engine, and return the project with another state folder."""
    for tag in tags_of(client, project.folder.name):
        client.images.remove(tag, force=True)
    return replace(project, env={**project.env, "XDG_STATE_HOME": str(project.folder.parent / "other state")})


def test_another_machine_pulls_shared_layers(
    shared: Consumer, registry: plain_registry.Registry, docker_client: docker.DockerClient
) -> None:
    """The first build pushes cached layers; another machine pulls the largest and builds only the code."""
    first = shared.invoke("image.build")
    shared = on_another_machine(docker_client, shared)
    (shared.folder / "code/score.py").write_text(f"{SCORE}# changed\n", encoding="utf-8")
    second = shared.invoke("image.build")

    name = shared.folder.name
    assert (0, 0) == (first.code, second.code), first.stderr + second.stderr
    assert 2 == normal(first.stderr, {}).count("pushing shared layers: ")
    assert [2, 0] == [build.stderr.count("saved cached layers: ") for build in (first, second)], second.stderr
    (base,) = shared.record("build.json")["cached_layers"]
    listed = shared.invoke("image.cache").stdout
    assert (1, 1) == (
        listed.count(f"azureml-tasks.invalid/{name}/layers:"),
        listed.count(f"{registry.host}/{name}/layers:"),
    )
    below = docker_client.images.get(base).attrs["RootFS"]["Layers"]
    image = docker_client.images.get(f"{name}:1").attrs["RootFS"]["Layers"]
    assert (below, len(below) + 1) == (image[: len(below)], len(image))
    assert 0 == shared.invoke("image.clean").code
    assert [] == tags_of(docker_client, name)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("FROM scratch\nCOPY Dockerfile /evil\n", "it is not built on the base"),
        ("FROM LAYERS\nENV PATH=/evil:/bin\n", "it changes the configuration of the base: Env"),
    ],
    ids=["another base", "another configuration"],
)
def test_layers_on_another_base_are_not_used(
    lines: str,
    why: str,
    shared: Consumer,
    registry: plain_registry.Registry,
    docker_client: docker.DockerClient,
) -> None:
    """What somebody has pushed with the tags of shared layers is pulled, found out, and built instead."""
    name = shared.folder.name
    assert shared.invoke("image.build").code == 0
    below = tags_of(docker_client, f"{registry.host}/{name}/layers:")
    evil = f"{unique('evil')}:1"
    with removed_after(docker_client, evil):
        derived(docker_client, evil, lines.replace("LAYERS", below[-1]))
        for tag in below:
            docker_client.images.get(evil).tag(*tag.rsplit(":", 1))
            docker_client.images.push(tag)
        shared = on_another_machine(docker_client, shared)
        (shared.folder / "code/score.py").write_text(f"{SCORE}# changed\n", encoding="utf-8")

        ended = shared.invoke("image.build")

        layers = docker_client.images.get(f"{name}:1").attrs["RootFS"]["Layers"]
        evils = docker_client.images.get(evil).attrs["RootFS"]["Layers"]
    assert ended.code == 0, ended.stderr
    warnings = [
        line for line in ended.stderr.splitlines() if line.startswith("warning: not using shared layers")
    ]
    assert [True] * len(below) == [line.endswith(why) for line in warnings], ended.stderr
    assert len(below) == ended.stderr.count("saved cached layers: ")
    assert why.endswith("Env") or evils[-1] not in layers
    assert 0 == shared.invoke("image.clean").code


def test_a_tag_that_is_moved_changes_nothing_here(
    shared: Consumer, registry: plain_registry.Registry, docker_client: docker.DockerClient
) -> None:
    """A machine that has built or pulled layers uses what it has recorded, whatever the tag names now."""
    name = shared.folder.name
    assert shared.invoke("image.build").code == 0
    cached = [*docker_client.images.get(f"{name}:1").attrs["RootFS"]["Layers"]][:-1]
    for tag in tags_of(docker_client, f"{registry.host}/{name}/layers:"):
        docker_client.images.get(f"{name}:1").tag(*tag.rsplit(":", 1))
        docker_client.images.push(tag)
    (shared.folder / "code/score.py").write_text(f"{SCORE}# changed\n", encoding="utf-8")

    ended = shared.invoke("image.build")

    assert ended.code == 0, ended.stderr
    layers = [*docker_client.images.get(f"{name}:1").attrs["RootFS"]["Layers"]]
    assert (cached, len(cached) + 1) == (layers[: len(cached)], len(layers))
    assert 0 == shared.invoke("image.clean").code


def test_a_registry_that_does_not_answer(shared: Consumer, docker_client: docker.DockerClient) -> None:
    """If the registry of shared layers does not answer, the image is built, with warnings."""
    table = shared.folder / "pyproject.toml"
    text = re.sub(r'(?m)^shared-layers = "[^/]*', 'shared-layers = "127.0.0.1:9', table.read_text("utf-8"))
    table.write_text(text.replace('model = "model"\n', ""), encoding="utf-8")
    ended = shared.invoke("image.build")

    warnings = ("warning: cannot look up shared layers", "warning: cannot share layers: ")
    assert (0, [1, 1]) == (ended.code, [ended.stderr.count(text) for text in warnings]), ended.stderr
    on_another_machine(docker_client, shared)
