"""The environment of docker's client: the engine of the run, and no variable that changes what our commands mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.client_environment import client_environment
from azureml_tasks.engines.docker.docker_config import DockerConfig, read_docker_config
from azureml_tasks.process import capture
from tests.cases import lay_out

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
    config = DockerConfig(file=Path("/docker/config.json"))
    client = EngineClient(context="own", host="unix:///x", version="1", api="1.41", config=config)

    printed = capture(["env", "-0"], env=client_environment(client)).stdout

    variables = dict(line.split("=", 1) for line in printed.split("\0") if line)
    kept = {name: value for name, value in variables.items() if name in SHOWN}
    assert {**KEPT, **expected, "DOCKER_BUILDKIT": "1", "BUILDX_GIT_INFO": "false"} == kept
    assert "1" == os.environ["BUILDX_EXPERIMENTAL"]


def test_a_user_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither we nor docker's client read a configuration in the current folder, which may be anybody's."""
    import pwd

    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError

    for name in ("HOME", "DOCKER_CONFIG", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    lay_out({".docker/config.json": '{"cliPluginsExtraDirs": ["plug-ins"]}'}, tmp_path)
    monkeypatch.chdir(tmp_path)
    config = read_docker_config()
    client = EngineClient(context="default", host="unix:///x", version="1", api="1.41", config=config)

    folder = Path(client_environment(client)["DOCKER_CONFIG"] or "")

    assert DockerConfig() == config
    assert ([], True, False) == (
        list(folder.iterdir()),
        folder.is_absolute(),
        folder.is_relative_to(tmp_path),
    )
