"""The docker context in use and the address of its engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from azureml_tasks.engines.docker.docker_context import Certificates, Endpoint, find_endpoint
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
VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


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
        pytest.param(
            {"DOCKER_CONTEXT": "own"}, {}, ("own", HOSTS["own"]), id="a context without a configuration"
        ),
        pytest.param(
            {}, {"config.json": '{"currentContext": null}'}, ("default", DEFAULT), id="no context, as null"
        ),
    ],
)
def test_the_engine_is_the_one_that_docker_uses(
    variables: Mapping[str, str],
    files: dict[str, str],
    expected: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order is DOCKER_HOST, DOCKER_CONTEXT, the current context."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"DOCKER_CONFIG": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    lay_out({**CONTEXTS, **files}, tmp_path)

    endpoint = find_endpoint()

    assert expected == (endpoint.context, endpoint.host)


def test_the_default_folder_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's configuration is in the home folder if DOCKER_CONFIG is not set."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    lay_out({**CONTEXTS, "config.json": USED}, tmp_path / ".docker")

    endpoint = find_endpoint()

    assert ("own", HOSTS["own"]) == (endpoint.context, endpoint.host)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("{", "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "KeyError: 'Endpoints'"),
        ('{"Endpoints": []}', "TypeError: list indices must be integers or slices, not str"),
        ('{"Endpoints": {"docker": {"Host": 1}}}', "ValueError: 1 is not the address of an engine"),
        ('{"Endpoints": {"docker": {"Host": "x"}}}', 'ValueError: "x" is not the address of an engine'),
        ('{"Endpoints": {"docker": null}}', "TypeError: 'NoneType' object is not subscriptable"),
    ],
)
def test_a_broken_context(content: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that cannot be read is an error with its file."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "own")
    lay_out({OWN: content}, tmp_path)

    with pytest.raises(EngineError) as caught:
        find_endpoint()

    expected = f"""\
The docker context "own" cannot be read from {tmp_path}/{OWN}.
    docker context rm own
    then create it again
    {cause}"""
    assert expected == str(caught.value)


def test_a_context_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that docker has not stored is an error."""
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    lay_out({"config.json": '{"currentContext": "none"}'}, tmp_path)

    with pytest.raises(EngineError) as caught:
        find_endpoint()

    expected = """\
The docker context "none" does not exist.
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
        "ssh://user:password@engine",
        "ssh://engine/run/docker.sock",
        "/run/docker.sock",
        "unix://run/docker.sock",
        "unix:///run/docker.sock?x",
        "npipe:////./pipe/docker_engine",
    ],
)
def test_docker_host_that_is_not_an_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST must be a URL that docker understands."""
    monkeypatch.setenv("DOCKER_HOST", host)

    with pytest.raises(EngineError) as caught:
        find_endpoint()

    expected = f"""\
DOCKER_HOST is "{host}", which is not the address of an engine.
    unset DOCKER_HOST
    or: export DOCKER_HOST=unix:///var/run/docker.sock"""
    assert expected == str(caught.value)


# Certificates

FILES = {f"certificates/{name}.pem": name for name in ("ca", "cert", "key")}


@pytest.mark.parametrize(
    ("variables", "verify"),
    [
        ({"DOCKER_CERT_PATH": "certificates"}, None),
        ({"DOCKER_CERT_PATH": "nowhere"}, None),
        ({"DOCKER_CERT_PATH": "certificates", "DOCKER_TLS_VERIFY": "1"}, True),
        ({"DOCKER_CERT_PATH": "certificates", "DOCKER_TLS_VERIFY": ""}, None),
        ({"DOCKER_CERT_PATH": "certificates", "DOCKER_TLS": "1"}, False),
    ],
)
def test_certificates_of_variables(
    variables: Mapping[str, str], verify: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for docker's client, DOCKER_TLS_VERIFY and DOCKER_TLS ask for TLS, and DOCKER_CERT_PATH alone does not."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"DOCKER_HOST": "tcp://far:2376", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(lay_out(FILES, tmp_path))

    ca, client, key = FILES
    expected = None if verify is None else Certificates(ca=ca, client=client, key=key, verify=verify)
    assert expected == find_endpoint().certificates


def test_a_missing_certificate_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS without the certificate of the authority cannot verify the engine: the error names the file."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    with pytest.raises(EngineError) as caught:
        find_endpoint()

    expected = f"""\
DOCKER_TLS_VERIFY asks for TLS with the engine, but {tmp_path}/ca.pem is not a file.
    export DOCKER_CERT_PATH=FOLDER, which has ca.pem, cert.pem and key.pem
    or: unset DOCKER_TLS_VERIFY"""
    assert expected == str(caught.value)


def test_an_engine_with_tls_and_without_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DOCKER_TLS_VERIFY alone docker's client does not use the socket, and neither do we."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(lay_out({"ca.pem": ""}, tmp_path)))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")

    assert "tcp://localhost:2376" == find_endpoint().host


@pytest.mark.parametrize("skip", [False, True])
def test_certificates_of_a_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, skip: bool) -> None:
    """A context has its certificates in a folder of its own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "own")
    described = {"Endpoints": {"docker": {"Host": HOSTS["far"], "SkipTLSVerify": skip}}}
    tls = f"contexts/tls/{sha256(b'own').hexdigest()}/docker"
    lay_out({OWN: json.dumps(described), f"{tls}/ca.pem": "", f"{tls}/cert.pem": ""}, tmp_path)

    certificates = Certificates(ca=f"{tmp_path}/{tls}/ca.pem", client="", key="", verify=not skip)
    expected = Endpoint(context="own", host=HOSTS["far"], certificates=certificates)
    assert expected == find_endpoint()
