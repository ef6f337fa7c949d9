"""`invoke image.clean` on a real engine: what was made and recorded goes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.projects import replaced
from tests.real.support import (
    Consumer,
    consumer,
    environment_without_docker,
    normal,
    removed_after,
    tags_of,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

    from tests.machine.registry import Registry

PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
tags = ["{{version}}", "latest"]
labels = {{ of = "{name}" }}
"""


@pytest.fixture(name="project")
def built_project(
    docker_client: docker.DockerClient, tiny_base: str, registry: Registry, tmp_path: Path
) -> Iterator[Consumer]:
    """A project that is built."""
    name = unique("clean")
    env = {**environment_without_docker(tmp_path), "DOCKER_CONFIG": str(tmp_path / "docker")}
    project = consumer(tmp_path / name, {"pyproject.toml": PROJECT.format(name=name, base=tiny_base)}, env)
    tags = [f"{name}:1.0", f"{name}:latest", f"{name}:by-hand"]
    with removed_after(docker_client, *tags, *(f"{registry.host}/{tag}" for tag in tags)):
        ended = project.invoke("image.build")
        assert ended.code == 0, ended.stderr
        yield project


def cleaned(project: Consumer, host: str) -> tuple[int, list[str]]:
    """What clean says that it did."""
    ended = project.invoke("image.clean")
    return ended.code, normal(ended.stdout, {project.folder.name: "NAME", host: "HOST"}).splitlines()


def test_what_was_built_and_pushed(
    project: Consumer, docker_client: docker.DockerClient, registry: Registry
) -> None:
    """Every name of build and push goes, and the records; what lies in the registry stays there."""
    assert project.invoke("image.push", "--untested", "--registry", registry.host).code == 0
    result = cleaned(project, registry.host)

    names = ["NAME:1.0", "NAME:latest", "HOST/NAME:1.0", "HOST/NAME:latest"]
    assert (0, [*(f"removed {name}" for name in names), "removed .azureml-image"]) == result
    assert tags_of(docker_client, project.folder.name) == []
    assert sorted(path.name for path in project.folder.iterdir()) == ["pyproject.toml", "tasks.py"]


def test_a_name_given_by_hand(project: Consumer, docker_client: docker.DockerClient, tiny_base: str) -> None:
    """Another name of the same image stays, and so the image; the base stays too."""
    name = project.folder.name
    docker_client.images.get(f"{name}:1.0").tag(name, "by-hand")
    result = cleaned(project, "no host")

    assert (0, ["removed NAME:1.0", "removed NAME:latest", "removed .azureml-image"]) == result
    assert [f"{name}:by-hand"] == tags_of(docker_client, name)
    assert tiny_base in docker_client.images.get(tiny_base).tags


def test_a_name_that_means_another_image(
    project: Consumer, docker_client: docker.DockerClient, tiny_base: str
) -> None:
    """A recorded name that was given to another image meanwhile stays with it."""
    name = project.folder.name
    docker_client.images.get(tiny_base).tag(name, "latest")
    result = cleaned(project, "no host")

    assert (0, ["removed NAME:1.0", "removed .azureml-image"]) == result
    assert [f"{name}:latest"] == tags_of(docker_client, name)


def test_an_image_whose_names_mean_others(
    project: Consumer, docker_client: docker.DockerClient, tiny_base: str
) -> None:
    """The image goes, by its ID, if other builds took all of its names; the names stay with the others."""
    name, image = project.folder.name, project.record("build.json")["id"]
    for tag in ("1.0", "latest"):
        docker_client.images.get(tiny_base).tag(name, tag)
    result = cleaned(project, "no host")

    assert (0, ["removed sha256:ID", "removed .azureml-image"]) == result
    assert [f"{name}:1.0", f"{name}:latest"] == tags_of(docker_client, name)
    assert not docker_client.api.images(filters={"label": f"of={name}"})
    assert image != docker_client.images.get(tiny_base).id


def test_images_whose_names_later_builds_took(
    project: Consumer, docker_client: docker.DockerClient, registry: Registry
) -> None:
    """They are without a name on the engine, and go; one that has got another name stays."""
    name, built = project.folder.name, []
    for number in "123":
        replaced(project.folder / "pyproject.toml", "labels = { ", f'labels = {{ n{number} = "1", ')
        assert project.invoke("image.build").code == 0
        image = docker_client.images.get(f"{name}:1.0")
        built.append(image.id)
        if number == "1":
            image.tag(name, "by-hand")
    result = cleaned(project, registry.host)

    removed = ["NAME:1.0", "NAME:latest", "sha256:ID", "sha256:ID", ".azureml-image"]
    assert (0, [f"removed {each}" for each in removed]) == result
    left = docker_client.api.images(filters={"label": f"of={name}"})
    assert [(built[0], [f"{name}:by-hand"])] == [(image["Id"], image["RepoTags"]) for image in left]


def test_twice(project: Consumer) -> None:
    """Where nothing is left, that is said, and is no error."""
    assert project.invoke("image.clean").code == 0
    ended = project.invoke("image.clean")

    assert (0, "", "nothing to remove: there is no .azureml-image here\n") == (
        ended.code,
        ended.stdout,
        ended.stderr,
    )
