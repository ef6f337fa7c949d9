"""The docker context in use and the address of its engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from azureml_tasks.engines.docker.docker_context import current_context
from azureml_tasks.errors import EngineError
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
        pytest.param({}, {}, ("default", DEFAULT), id="no configuration"),
        pytest.param({}, {"config.json": "{}"}, ("default", DEFAULT), id="a configuration without a context"),
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
            id="DOCKER_HOST before DOCKER_CONTEXT",
        ),
        pytest.param(
            {"DOCKER_HOST": "", "DOCKER_CONTEXT": ""},
            {"config.json": USED},
            ("own", HOSTS["own"]),
            id="empty variables",
        ),
        pytest.param({}, {"config.json": "{"}, ("default", DEFAULT), id="a configuration that is not JSON"),
        pytest.param({}, {"config.json": "[]"}, ("default", DEFAULT), id="a configuration that is a list"),
    ],
)
def test_the_engine_is_the_one_that_docker_uses(
    variables: Mapping[str, str],
    files: dict[str, str],
    expected: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order is DOCKER_HOST, DOCKER_CONTEXT, the current context; docker ignores a broken configuration."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"DOCKER_CONFIG": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    lay_out({**CONTEXTS, **files}, tmp_path)

    assert expected == current_context()


def test_the_default_folder_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's configuration is in the home folder if DOCKER_CONFIG is not set."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    lay_out({**CONTEXTS, "config.json": USED}, tmp_path / ".docker")

    assert ("own", HOSTS["own"]) == current_context()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "KeyError: 'Endpoints'"),
        ('{"Endpoints": []}', "TypeError: list indices must be integers or slices, not str"),
    ],
)
def test_a_broken_context(content: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that cannot be read is an error with its file."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "own")
    lay_out({OWN: content}, tmp_path)

    with pytest.raises(EngineError) as caught:
        current_context()

    expected = f"""\
The docker context "own" cannot be read from {tmp_path}/{OWN}.
    docker context rm own
    then create it again
    {said}"""
    assert expected == str(caught.value)


@pytest.mark.parametrize("name", ["none", "1"])
def test_a_context_that_does_not_exist(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that docker has not stored is an error, whatever type the configuration gives its name."""
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    lay_out({"config.json": json.dumps({"currentContext": int(name) if name.isdigit() else name})}, tmp_path)

    with pytest.raises(EngineError) as caught:
        current_context()

    expected = f"""\
The docker context "{name}" does not exist.
    docker context ls
    then: docker context use NAME"""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "nonsense",
        "ftp://engine",
        "tcp://",
        "tcp://engine",
        "tcp://engine:no",
        "unix://",
        "ssh://",
        "/run/docker.sock",
    ],
)
def test_docker_host_that_is_not_an_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST must be a URL that docker understands."""
    monkeypatch.setenv("DOCKER_HOST", host)

    with pytest.raises(EngineError) as caught:
        current_context()

    expected = f"""\
DOCKER_HOST is "{host}", which is not the address of an engine.
    unset DOCKER_HOST
    or: export DOCKER_HOST=unix:///var/run/docker.sock"""
    assert expected == str(caught.value)
