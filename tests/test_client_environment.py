"""The environment of docker's client: the engine of the run, and no variable that changes what our commands mean."""

from __future__ import annotations

import os

import pytest

from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.client_environment import client_environment
from azureml_tasks.process import capture

FOREIGN = {
    "BUILDX_EXPERIMENTAL": "1",
    "BUILDX_GIT_LABELS": "full",
    "BUILDX_GIT_INFO": "true",
    "BUILDX_BUILDER": "other",
    "SOURCE_DATE_EPOCH": "0",
    "DOCKER_API_VERSION": "1.24",
    "DOCKER_DEFAULT_PLATFORM": "linux/arm64",
    "DOCKER_BUILDKIT": "0",
}
KEPT = {"BUILDX_CONFIG": "/buildx", "HTTP_PROXY": "http://p", "DOCKER_CONFIG": "/docker"}
SHOWN = (*FOREIGN, *KEPT, "DOCKER_HOST", "DOCKER_CONTEXT")


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({}, {"DOCKER_CONTEXT": "own"}),
        ({"DOCKER_HOST": ""}, {"DOCKER_CONTEXT": "own"}),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, {"DOCKER_CONTEXT": "own"}),
        ({"DOCKER_HOST": "unix:///x"}, {"DOCKER_HOST": "unix:///x"}),
    ],
)
def test_the_environment_of_dockers_client(
    engine: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The context is named, so that nobody changes it meanwhile, and what is not ours to interpret stays."""
    for name in SHOWN:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**FOREIGN, **KEPT, **engine}.items():
        monkeypatch.setenv(name, value)
    client = EngineClient(context="own", host="unix:///x", version="1", api="1.41")

    printed = capture(["env", "-0"], env=client_environment(client)).stdout

    seen = dict(line.split("=", 1) for line in printed.split("\0") if line)
    kept = {name: value for name, value in seen.items() if name in SHOWN}
    assert {**KEPT, **expected, "DOCKER_BUILDKIT": "1", "BUILDX_GIT_INFO": "false"} == kept
    assert "1" == os.environ["BUILDX_EXPERIMENTAL"]
