"""Several images of one table, on a real engine and into a real registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.projects import replaced
from tests.real.pushed import digest_of
from tests.real.small_project import SCORE, small_table
from tests.real.support import (
    consumer,
    copied_example,
    environment_of,
    normal,
    removed_after,
    tags_of,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry
    from tests.real.support import Consumer

TABLE = """\
model = "model"
run = [{ command = "read id < /proc/sys/kernel/random/uuid; echo $id > /installed" }]

[tool.azureml-image.images.one]
env = { WHICH = "one" }

[tool.azureml-image.images.two]
env = { WHICH = "two" }
"""


@pytest.fixture
def env(clients: Mapping[str, Client], tmp_path: Path, engine: str) -> Mapping[str, str]:
    """Return an environment with a docker client that has BuildKit built in."""
    del engine
    return environment_of(clients["20.10"], tmp_path)


def layers_of(client: docker.DockerClient, name: str) -> list[str]:
    """Return the layers of an image, the base's first."""
    return list(client.images.get(name).attrs["RootFS"]["Layers"])


def test_the_second_image_has_the_layers_of_the_first(
    env: Mapping[str, str], tiny_base: str, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """What both have is built once, and one `clean` removes all that builds left."""
    name = unique("images")
    files = {
        "pyproject.toml": small_table(name, tiny_base, TABLE),
        "model/weights.bin": "weights",
        "code/score.py": SCORE,
    }
    project = consumer(tmp_path / name, files, env)
    images = (f"{name}-one:1", f"{name}-two:1")
    with removed_after(docker_client, *images):
        built = project.invoke("image.build")
        assert (0, "".join(f"{image}\n" for image in images)) == (built.code, built.stdout), built.stderr
        listed = project.invoke("image.cache")
        again = project.invoke("image.build")
        first, second = (layers_of(docker_client, image) for image in images)
        cleaned = project.invoke("image.clean")

    shared = [layer for layer in first if layer in second]
    assert first[: len(shared)] == second[: len(shared)] == shared
    # The command and the model are on top of the base; the code is the same in both as well.
    assert len(shared) - len(layers_of(docker_client, tiny_base)) == 3
    lines = normal(built.stderr).splitlines()
    kinds = ("saved", "using")
    assert [1, 1] == [sum(line.startswith(f"{kind} cached layers: ") for line in lines) for kind in kinds]
    assert 1 == len(listed.stdout.splitlines())
    assert 1 == built.stderr.count("Docker engine ")
    assert 2 == again.stderr.count("nothing to build: ")
    assert (0, []) == (cleaned.code, tags_of(docker_client, name))
    assert not (project.folder / ".azureml-image").exists()


def test_the_example_of_two_images(
    env: Mapping[str, str],
    amlenv_base: str,
    registry: Registry,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """The second example, with another base and registry: both are built, then both tested, then both pushed."""
    folder = tmp_path / "two_images"
    example = copied_example(folder, env, part="two_images")
    replaced(folder / "pyproject.toml", '"minimal-py312-inference"', f'"{amlenv_base}"')
    names = [f"{registry.host}/taxi-{model}" for model in ("fares", "tips")]
    with removed_after(docker_client, *(f"{name}:1.0.0" for name in names)):
        released = example.invoke("image.release", "--registry", registry.host, "--junit", "tests.xml")
        environments = example.invoke("image.environment")
        records = [record_of(example, image) for image in ("fares", "tips")]
        cleaned = example.invoke("image.clean")

    references = [f"{name}@{digest_of(registry, name.partition('/')[2], '1.0.0')}" for name in names]
    assert released.code == 0, released.stderr
    lines = released.stdout.splitlines()
    assert [*(f"{name}:1.0.0" for name in names), *references] == [*lines[:2], *lines[-2:]]
    passed = [line.partition(" passed")[0] for line in lines if " passed its smoke test " in line]
    assert [f"{name}:1.0.0" for name in names] == passed
    assert references == records
    suites = ET.parse(folder / "tests.xml").getroot()
    assert [(f"{name}:1.0.0", "0") for name in names] == [
        (each.get("name"), each.get("failures")) for each in suites
    ]
    assert environments.stdout.count("---\n") == 1
    assert cleaned.code == 0, cleaned.stderr


def record_of(project: Consumer, image: str) -> str:
    """Return the reference under which an image was pushed, as it is recorded."""
    return str(project.record(f"{image}/result.json")["image"])
