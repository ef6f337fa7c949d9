"""A runtime user that a step of the build makes, on a tiny base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.small_project import SCORE, small_table
from tests.real.support import (
    consumer,
    environment_without_docker,
    normal,
    project_removed_after,
    tags_of,
    unique,
)

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from tests.real.support import Ended

TABLE = """\
user = "server"
run = [{ command = "COMMAND" }]
"""
FIX = """\
    Write: user = "dockeruser"
    or name a user that is not root, which the base has or a run makes: run = [{ command = \
"useradd --create-home server" }]
Nothing was built.
"""


def build(folder: Path, name: str, base: str, command: str) -> Ended:
    """Build an image with this command."""
    table = small_table(name, base, TABLE.replace("COMMAND", command))
    files = {"pyproject.toml": table, "code/score.py": SCORE}
    return consumer(folder / "project", files, environment_without_docker(folder)).invoke("image.build")


def test_a_user_that_a_run_makes(docker_client: docker.DockerClient, tiny_base: str, tmp_path: Path) -> None:
    """It is found in the built image, which runs as this user."""
    name = unique("user")
    with project_removed_after(docker_client, name):
        ended = build(tmp_path, name, tiny_base, "echo server:x:1001:1001::/:/bin/sh >> /etc/passwd")

        assert (0, f"{name}:1\n") == (ended.code, ended.stdout), ended.stderr
        assert docker_client.images.get(f"{name}:1").attrs["Config"]["User"] == "server"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("true", 'Neither the base BASE nor a step of the build has made the runtime user "server".'),
        (
            "echo server:x:0:0::/:/bin/sh >> /etc/passwd",
            'The runtime user "server" of the built image is root, by its ID 0.',
        ),
    ],
    ids=["nobody makes it", "root by another name"],
)
def test_a_user_that_the_image_does_not_have(
    command: str, problem: str, docker_client: docker.DockerClient, tiny_base: str, tmp_path: Path
) -> None:
    """It is refused after the build: nothing is tagged and nothing is recorded."""
    name = unique("user")
    with project_removed_after(docker_client, name):
        ended = build(tmp_path, name, tiny_base, command)
        tags = tags_of(docker_client, name)

    stderr = normal(ended.stderr, {tiny_base: "BASE"})
    assert (4, "") == (ended.code, ended.stdout)
    assert stderr.endswith(f"{problem}\n{FIX}")
    assert [tag for tag in tags if "/layers:" not in tag] == []
    assert not (tmp_path / "project" / ".azureml-image" / "build.json").exists()
