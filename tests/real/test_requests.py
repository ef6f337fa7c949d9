"""Requests of every kind to a script with @rawhttp, by a user that the build makes, with a model in its own folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import docker
import pytest

from tests.machine.clients import Client
from tests.real.built_project import built
from tests.real.small_project import small_table
from tests.real.smoke_image import without_variations
from tests.real.support import Consumer, consumer, environment_of, unique

SCORE = """\
import json
import os

from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse


def init():
    global labels
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "labels.json")) as file:
        labels = json.load(file)


@rawhttp
def run(request: AMLRequest):
    if request.method == "GET":
        asked = {"label": request.args["label"], "team": request.headers["X-Team"], "user": os.environ["HOME"]}
        return AMLResponse({"labels": labels, **asked}, 200, json_str=True)
    files = [[each.filename, each.mimetype, each.read().hex()] for each in request.files.getlist("file[]")]
    if files:
        answer = {"files": files, "limit": request.form["limit"]}
        return AMLResponse(answer, 201, {"X-Count": str(len(files))}, json_str=True)
    if request.mimetype == "image/png":
        return AMLResponse(request.get_data(), 200, {"Content-Type": "image/png"})
    return AMLResponse("send a picture", 415)
"""

TABLE = """\
user = "server"
model = "weights"
model-name = "model"
run = [{ command = "useradd --create-home server && chown -R server /var/runit /var/log /var/lib/nginx /run" }]

[tool.azureml-image.smoke-test]
repeat = 2

[[tool.azureml-image.smoke-test.requests]]
method = "GET"
path = "/score?label=cat"
headers = { X-Team = "vision" }
expect = { labels = ["cat", "dog"], label = "cat", team = "vision", user = "/home/server" }

[[tool.azureml-image.smoke-test.requests]]
form = [
  { name = "file[]", file = "cat.png", content-type = "image/png" },
  { name = "file[]", file = "dog.bin" },
  { name = "limit", value = "0.5 é" },
]
status = 201
expect = { files = [["cat.png", "image/png", "89504e470d0a"], ["dog.bin", "application/octet-stream", "00ff"]], \
limit = "0.5 é" }
expect-headers = { X-Count = "2", Content-Type = "application/json" }

[[tool.azureml-image.smoke-test.requests]]
file = "cat.png"
content-type = "image/png"
expect-headers = { Content-Type = "image/png" }

[[tool.azureml-image.smoke-test.requests]]
body = 1
status = 415
expect = "send a picture"

[[tool.azureml-image.smoke-test.requests]]
method = "GET"
path = "/swagger.json?version=3"
expect = { openapi = "3.0.3" }

[[tool.azureml-image.smoke-test.requests]]
method = "GET"
path = "/"
expect = "Healthy"
"""

FILES: Mapping[str, str | bytes] = {
    "code/score.py": SCORE,
    "weights/labels.json": '["cat", "dog"]',
    "cat.png": b"\x89PNG\r\n",
    "dog.bin": b"\x00\xff",
}


@pytest.fixture(scope="module")
def project(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """Build the project, and remove its image in the end."""
    folder, name = tmp_path_factory.mktemp("project"), unique("requests")
    files = {**FILES, "pyproject.toml": small_table(name, amlenv_base, TABLE)}
    project = consumer(folder / name, files, environment_of(clients["20.10"], folder))
    with built(docker_client, project):
        yield project


def test_every_kind_of_request(project: Consumer) -> None:
    """GET with a query, a form, a picture, a text, the swagger document and the health check have their answers."""
    done = project.invoke("image.smoke-test")

    expected = """\
NAME:1 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    GET /score?label=cat: 200 in p50 TIME, p95 TIME of 2
    cat.png: 201 in p50 TIME, p95 TIME of 2
    cat.png: 200 in p50 TIME, p95 TIME of 2
    request 4: 415 in p50 TIME, p95 TIME of 2
    GET /swagger.json?version=3: 200 in p50 TIME, p95 TIME of 2
    GET /: 200 in p50 TIME, p95 TIME of 2
    peak memory N MiB
"""
    assert (0, expected) == (done.code, without_variations(done.stdout, project.folder.name)), done.stderr


def test_an_engine_without_gpus(project: Consumer) -> None:
    """The engine of the tests has no GPU, and the message names the toolkit that gives it one."""
    table = (project.folder / "pyproject.toml").read_text(encoding="utf-8")
    asking = table.replace("repeat = 2\n", 'repeat = 2\ngpus = "all"\n')
    consumer(project.folder, {"pyproject.toml": asking}, project.env)
    done = project.invoke("image.smoke-test")

    assert (3, "") == (done.code, done.stdout)
    assert "has no GPU for containers.\n    Install the NVIDIA Container Toolkit" in done.stderr
    assert done.stderr.endswith("\nNothing was pushed.\n")
