"""Docker's configuration: what it says, and that whatever it holds ends in an engine or in an error of ours."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.credentials import auth_config
from azureml_tasks.engines.docker.docker_config import read_docker_config
from azureml_tasks.errors import AzuremlTasksError, EngineError
from tests.fake_engine import FakeEngine, running_engine

HOST = "127.0.0.1:5000"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of docker's configuration; no credential helper is on PATH."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("docker")
        patch.setenv("DOCKER_CONFIG", str(folder))
        patch.setenv("PATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeEngine]:
    """An engine that DOCKER_HOST names."""
    with running_engine() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", fake.host)
        fake.answers["GET /_ping"] = (200, b"OK")
        fake.headers = {"Server": "Docker/28.0.1 (linux)", "Api-Version": "1.48", "Ostype": "linux"}
        yield fake


def write(folder: Path, config: Any) -> None:
    """Write a configuration."""
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("[]", "must be an object of JSON"),
        ("{", "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"proxies": null}', 'cannot be used: "proxies" must be an object, got null'),
        ('{"proxies": {"default": 1}}', 'cannot be used: "proxies.default" must be an object, got a number'),
        (
            '{"proxies": {"default": {"httpProxy": []}}}',
            'cannot be used: "proxies.default.httpProxy" must be a string, got an array',
        ),
        ('{"auths": "x"}', 'cannot be used: "auths" must be an object, got a string'),
        ('{"auths": {"r.io": "x"}}', 'cannot be used: "auths.r.io" must be an object, got a string'),
        (
            '{"auths": {"r.io": {"auth": "YWJj"}}}',
            'cannot be used: "auths.r.io.auth" is not base64 of USER:PASSWORD',
        ),
        (
            '{"auths": {"r.io": {"auth": null}}}',
            'cannot be used: "auths.r.io.auth" is not base64 of USER:PASSWORD',
        ),
        (
            '{"auths": {"r.io": {"password": 12345}}}',
            'cannot be used: "auths.r.io.password" must be a string, got a number',
        ),
        (
            '{"elsewhere": {"auth": "YWJj"}}',
            'cannot be used: "elsewhere.auth" is not base64 of USER:PASSWORD',
        ),
        ('{"credsStore": 1}', 'cannot be used: "credsStore" must be a string, got a number'),
        (
            '{"credsStore": "../x"}',
            'cannot be used: "credsStore" must be the name of a credential helper, got "../x"',
        ),
        (
            '{"credHelpers": {"r.io": true}}',
            'cannot be used: "credHelpers.r.io" must be a string, got a boolean',
        ),
        ('{"HttpHeaders": null}', 'cannot be used: "HttpHeaders" must be an object, got null'),
        ('{"currentContext": 1}', 'cannot be used: "currentContext" must be a string, got a number'),
        (
            '{"currentContext": "\\ud800"}',
            'cannot be used: "currentContext" has characters that cannot be printed',
        ),
        (
            '{"cliPluginsExtraDirs": "x"}',
            'cannot be used: "cliPluginsExtraDirs" must be an array of strings, got a string',
        ),
    ],
)
def test_what_cannot_be_used_is_named_by_file_and_key(config: str, problem: str, folder: Path) -> None:
    """The error names the file and the key, and never a value that may be a password."""
    (folder / "config.json").write_text(config, encoding="utf-8")

    with pytest.raises(EngineError) as caught:
        read_docker_config()

    file = folder / "config.json"
    expected = f"""\
Docker's configuration {file} {problem}.
    Correct it, or move it away: mv {file} {file}.old"""
    assert expected == str(caught.value)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(folder: Path) -> None:
    """A pipe that nobody writes to would block for ever."""
    (folder / "config.json").unlink(missing_ok=True)
    os.mkfifo(folder / "config.json")
    with pytest.raises(EngineError, match=r"config\.json cannot be read: it is not a file\."):
        read_docker_config()
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("proxies", "values"),
    [
        ({}, ()),
        ({"other": {"httpProxy": "http://p"}}, ()),
        (
            {"default": {"httpProxy": "http://p", "noProxy": "localhost", "httpsProxy": ""}},
            ("http://p", "", "", "localhost"),
        ),
        (
            {
                "default": {"httpProxy": "http://p"},
                "tcp://far:1": {"httpsProxy": "http://q", "allProxy": "r"},
            },
            ("", "http://q", "", "", "r"),
        ),
    ],
)
def test_proxies_are_those_that_docker_gives(
    proxies: dict[str, Any], values: tuple[str, ...], folder: Path
) -> None:
    """An entry for the engine's address precedes the default; each variable is set in both cases."""
    write(folder, {"proxies": proxies})

    upper_case = {name: value for name, value in zip(NAMES, values, strict=False) if value}
    expected = upper_case | {name.lower(): value for name, value in upper_case.items()}
    assert expected == read_docker_config().proxies("tcp://far:1")


AUTH = b64encode(b"user:pass:word").decode()


@pytest.mark.parametrize(
    ("registry", "auths", "expected"),
    [
        (HOST, {HOST: {"auth": AUTH}}, {"username": "user", "password": "pass:word"}),
        (HOST, {f"https://{HOST}/v2/": {"auth": AUTH}}, {"username": "user", "password": "pass:word"}),
        (HOST, {HOST: {"identitytoken": "t"}}, {"identitytoken": "t"}),
        (HOST, {HOST: {"username": "u", "password": "p"}}, {"username": "u", "password": "p"}),
        (
            "docker.io",
            {"https://index.docker.io/v1/": {"auth": AUTH}},
            {"username": "user", "password": "pass:word", "serveraddress": "https://index.docker.io/v1/"},
        ),
        (HOST, {HOST: {}}, None),
        (HOST, {"r.io": {"auth": AUTH}}, None),
        (HOST, None, None),
    ],
)
def test_credentials_in_the_configuration(
    registry: str, auths: Any, expected: dict[str, str] | None, folder: Path
) -> None:
    """Credentials are found by host, whatever form its key has; none is anonymous."""
    write(folder, {"auths": auths})

    whole = {"serveraddress": registry, **expected} if expected else {}
    assert whole == auth_config(read_docker_config(), registry)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([AUTH, "YWJj", "x.y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.dictionaries(st.sampled_from(["auth", "identitytoken", "username", "password"]), JSON, max_size=3)
PROXY = st.dictionaries(st.sampled_from(["httpProxy", "httpsProxy", "noProxy", "allProxy"]), JSON, max_size=3)
CONFIG = JSON | st.fixed_dictionaries(
    {},
    optional={
        "auths": JSON | st.dictionaries(st.sampled_from([HOST, "r.io"]), ENTRY | JSON, max_size=2),
        "credsStore": JSON | st.sampled_from(["desktop", "../x", ""]),
        "credHelpers": JSON | st.dictionaries(st.sampled_from([HOST, "r.io"]), JSON, max_size=2),
        "proxies": JSON
        | st.dictionaries(st.sampled_from(["default", "tcp://x:1"]), PROXY | JSON, max_size=2),
        "HttpHeaders": JSON | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        "currentContext": JSON,
        "cliPluginsExtraDirs": JSON,
        "detachKeys": ENTRY | JSON,
    },
)


@given(config=CONFIG)
def test_any_configuration(config: Any, folder: Path, engine: FakeEngine) -> None:
    """Whatever JSON the configuration holds: an engine with its SDK and credentials, or an error of ours."""
    write(folder, config)

    with suppress(AzuremlTasksError):
        client = connect()
        with closing(client.sdk):
            auth_config(client.config, HOST)
            assert client.proxies == client.config.proxies(engine.host)


@given(content=st.binary(max_size=40))
def test_any_bytes(content: bytes, folder: Path, engine: FakeEngine) -> None:
    """A configuration that is no JSON at all is an error of ours, too."""
    (folder / "config.json").write_bytes(content)

    with suppress(EngineError), closing(connect().sdk):
        assert engine.host
