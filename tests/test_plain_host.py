"""Which engine docker's settings name, as far as that can be told without the SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from azureml_tasks.engines.docker.socket_http import plain_host
from tests.cases import lay_out

DEFAULT = "unix:///var/run/docker.sock"
HOSTS = {"own": "unix:///run/own.sock", "far": "tcp://far:2376"}


def stored(name: str, host: str) -> dict[str, str]:
    """A context as docker's client stores it."""
    text = json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}})
    return {f"contexts/meta/{sha256(name.encode()).hexdigest()}/meta.json": text}


CONTEXTS = {name: text for context, host in HOSTS.items() for name, text in stored(context, host).items()}
OWN = f"contexts/meta/{sha256(b'own').hexdigest()}/meta.json"
USED = '{"currentContext": "own"}'


@pytest.mark.parametrize(
    ("variables", "files", "expected"),
    [
        pytest.param({}, {}, ("default", DEFAULT), id="nothing"),
        pytest.param({}, {"config.json": "{}"}, ("default", DEFAULT), id="a configuration without one"),
        pytest.param({}, {"config.json": USED}, ("own", HOSTS["own"]), id="the current context"),
        pytest.param(
            {"DOCKER_CONTEXT": "far"}, {"config.json": USED}, ("far", HOSTS["far"]), id="DOCKER_CONTEXT"
        ),
        pytest.param(
            {"DOCKER_CONTEXT": "default"},
            {"config.json": USED},
            ("default", DEFAULT),
            id="DOCKER_CONTEXT, the default",
        ),
        pytest.param(
            {"DOCKER_HOST": "tcp://one:1", "DOCKER_CONTEXT": "far"},
            {"config.json": USED},
            ("default", "tcp://one:1"),
            id="DOCKER_HOST above all",
        ),
        pytest.param(
            {"DOCKER_HOST": "", "DOCKER_CONTEXT": ""},
            {"config.json": USED},
            ("own", HOSTS["own"]),
            id="empty variables",
        ),
        pytest.param({"DOCKER_CONTEXT": "none"}, {}, ("", ""), id="no such context"),
        pytest.param({}, {"config.json": "{"}, ("", ""), id="a broken configuration"),
        pytest.param({}, {"config.json": "[]"}, ("", ""), id="a configuration that is none"),
        pytest.param({}, {"config.json": '{"currentContext": 1}'}, ("", ""), id="a name that is none"),
        pytest.param({}, {"config.json": USED, OWN: "{"}, ("", ""), id="a broken context"),
        pytest.param({}, {"config.json": USED, OWN: "{}"}, ("", ""), id="a context without an engine"),
        pytest.param(
            {}, {"config.json": USED, OWN: '{"Endpoints": []}'}, ("", ""), id="a context that is none"
        ),
    ],
)
def test_the_engine_is_the_one_that_docker_takes(
    variables: Mapping[str, str],
    files: dict[str, str],
    expected: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DOCKER_HOST, DOCKER_CONTEXT, then the current context; what cannot be read is left to the SDK, which says why."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"DOCKER_CONFIG": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    lay_out({**CONTEXTS, **files}, tmp_path)

    assert expected == plain_host()


def test_the_configuration_lies_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless DOCKER_CONFIG names another folder."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    lay_out({**CONTEXTS, "config.json": USED}, tmp_path / ".docker")

    assert ("own", HOSTS["own"]) == plain_host()
