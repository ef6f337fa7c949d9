"""Requests of every kind to a script with @rawhttp, by a user that the build makes, with a model in its own folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import docker
import pytest

from tests.machine.clients import Client
from tests.real import request_kinds
from tests.real.built_project import built
from tests.real.small_project import small_table
from tests.real.smoke_image import without_variations
from tests.real.support import Consumer, consumer, environment_of, unique


@pytest.fixture(scope="module")
def project(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """Build the project, and remove its image in the end."""
    folder, name = tmp_path_factory.mktemp("project"), unique("requests")
    table = small_table(name, amlenv_base, request_kinds.TABLE)
    files = {**request_kinds.FILES, "pyproject.toml": table}
    project = consumer(folder / name, files, environment_of(clients["20.10"], folder))
    with built(docker_client, project):
        yield project


def test_every_kind_of_request(project: Consumer) -> None:
    """GET with a query, a form, a picture, a text, the swagger document and the health check have their answers."""
    ended = project.invoke("image.smoke-test")

    expected = """\
NAME:1 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    GET /score?label=cat: 200 in p50 TIME, p95 TIME of 2
    form of cat.png and 1 more: 201 in p50 TIME, p95 TIME of 2
    cat.png: 200 in p50 TIME, p95 TIME of 2
    request 4: 415 in p50 TIME, p95 TIME of 2
    GET /swagger.json?version=3: 200 in p50 TIME, p95 TIME of 2
    GET /: 200 in p50 TIME, p95 TIME of 2
    peak memory N MiB
"""
    assert (0, expected) == (ended.code, without_variations(ended.stdout, project.folder.name)), ended.stderr


def test_an_engine_without_gpus(project: Consumer) -> None:
    """The engine of the tests has no GPU, and the message names the toolkit that gives it one."""
    table = (project.folder / "pyproject.toml").read_text(encoding="utf-8")
    asking = table.replace("repeat = 2\n", 'repeat = 2\ngpus = "all"\n')
    consumer(project.folder, {"pyproject.toml": asking}, project.env)
    ended = project.invoke("image.smoke-test")

    assert (3, "") == (ended.code, ended.stdout)
    assert "has no GPU for containers.\n    Install the NVIDIA Container Toolkit" in ended.stderr
    assert ended.stderr.endswith("\nNothing was tested.\n")
