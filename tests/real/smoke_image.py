"""A project whose image does in the smoke test what the test says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from tests.machine.clients import Client
from tests.real.support import Consumer, consumer, environment_of, normal, removed_after, unique

__all__ = ["no_container_is_left", "smoke_project", "with_smoke_test", "without_variations"]

# The sleeps stand for code that takes long; no test waits by sleeping.
SCORE = '''\
"""The container's environment and the request decide what init() and run() do."""

import json
import os
import signal
import time

from azureml_inference_server_http.api.aml_response import AMLResponse

HOW = os.environ.get("HOW", "")
calls = []

if HOW == "import fails":
    import no_such_module


def init():
    if HOW == "init never ends":
        time.sleep(600)  # Longer than any test waits: the test is of a start that never ends.


def run(raw):
    try:
        request = json.loads(raw)
    except ValueError:
        if HOW == "malformed ends the container":
            end({})
        if HOW == "malformed ends the worker":
            os.kill(os.getpid(), signal.SIGKILL)
        raise
    return globals()[request["do"].replace(" ", "_")](request)


def echo(request):
    return request.get("value")


def dump(request):
    return json.dumps(request["value"])


def count(request):
    calls.append(request)
    return {"calls": len(calls)}


def look_up(request):
    return {}["age"]


def make_a_set(request):
    return {1, 2}


def refuse(request):
    return AMLResponse({"message": "no flowers"}, 400, json_str=True)


def wait(request):
    time.sleep(request["seconds"])  # This is the slow answer itself, which the test wants to see.


def variables(request):
    return {name: os.environ.get(name) for name in request["names"]}


def eat(request):
    # Every page is written to, so that all of it is there at once.
    bytearray(request["megabytes"] * 2**20)[:: 4096] = b"x" * (request["megabytes"] * 2**8)


def end(request):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)  # No answer may come first; the container's end ends this.
'''

PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
"""


@pytest.fixture(scope="session")
def smoke_project(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """Build a project whose image does what the requests say; no container of it is left at the end."""
    folder, name = tmp_path_factory.mktemp("project"), unique("smoke")
    files = {"pyproject.toml": PROJECT.format(name=name, base=amlenv_base), "code/score.py": SCORE}
    project = consumer(folder / name, files, environment_of(clients["20.10"], folder))
    with removed_after(docker_client, f"{name}:1.0"):
        ended = project.invoke("image.build")
        assert (0, f"{name}:1.0\n") == (ended.code, ended.stdout), ended.stderr
        yield project
        built_from: dict[str, str | list[str] | bool] = {"ancestor": f"{name}:1.0"}
        assert docker_client.containers.list(all=True, filters=built_from) == []


@pytest.fixture
def no_container_is_left(docker_client: docker.DockerClient, smoke_project: Consumer) -> Iterator[None]:
    """After each test its containers are gone, also those that have exited."""
    yield

    built_from: dict[str, str | list[str] | bool] = {"ancestor": f"{smoke_project.folder.name}:1.0"}
    assert docker_client.containers.list(all=True, filters=built_from) == []


def with_smoke_test(
    project: Consumer, folder: Path, smoke_test: str, files: Mapping[str, str | bytes] | None = None
) -> Consumer:
    """Copy the project, which keeps its image, with another smoke test and more files."""
    shutil.copytree(project.folder, folder / project.folder.name)
    text = (project.folder / "pyproject.toml").read_text(encoding="utf-8")
    table = f"{text}\n[tool.azureml-image.smoke-test]\n{smoke_test}"
    return consumer(folder / project.folder.name, {**(files or {}), "pyproject.toml": table}, project.env)


def without_variations(text: str, name: str) -> str:
    """Return a report without what differs from run to run or with a package's version.

    The log is replaced by one line, and a traceback keeps only the user's frames.
    """
    for pattern, word in (
        (r"(?s)^.*? at most\n(  \d+\.\d s: [^\n]*\n)*", ""),
        (r"(ready after|p50|p95|200 within|took) \d+(\.\d+)? m?s", r"\1 TIME"),
        (r"peak memory \d+ MiB", "peak memory N MiB"),
        (
            r"(?s)\n(?:The container's log|The last 40 of [^\n]*?):\n.*?\n(?=\S|\Z)",
            r"\nThe log: …\n",
        ),
        (r'( {6}File "/(?!var/azureml-app/).*\n( {8}.*\n)*| {6}File "<frozen.*\n)+', "      …\n"),
        (r"last try: (502 Bad Gateway|connection .*|no answer within 2 s)", "last try: …"),
        (r"nginx/[\d.]+", "nginx"),
    ):
        text = re.sub(pattern, word, text)
    return normal(text, {name: "NAME"})
