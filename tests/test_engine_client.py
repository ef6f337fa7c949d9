"""The engine's API at a Unix socket and at a TCP address."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from azureml_tasks.engines.docker.api_build import build_events, whole_lines
from azureml_tasks.engines.docker.api_errors import (
    reading_answers,
    translate_errors,
    unreachable_by_ssh,
    unreachable_error,
)
from azureml_tasks.engines.docker.client import EngineClient, connect
from azureml_tasks.engines.docker.docker_config import DockerConfig
from azureml_tasks.engines.docker.docker_context import Endpoint
from azureml_tasks.engines.docker.image_form import image_of
from azureml_tasks.engines.docker.socket_http import RefusedError
from azureml_tasks.errors import EngineError
from tests.cases import lay_out
from tests.fake_engine import FakeEngine, json_answer, running_engine

VERSION = {
    "Version": "28.0.1",
    "ApiVersion": "1.48",
    "Os": "linux",
    "Components": [{"Name": "Engine"}, {"Name": "containerd"}],
}
PING_HEADERS = {"Server": "Docker/28.0.1 (linux)", "Api-Version": "1.48", "Ostype": "linux"}
IMAGE = image_of({"Id": "sha256:1", "Os": "linux"})
BLOCKS = [b"one", b"", b"x" * 100_000, b"three"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine at a Unix socket, which DOCKER_HOST names."""
    with running_engine() as fake:
        monkeypatch.setenv("DOCKER_HOST", fake.host)
        yield fake


@pytest.fixture(params=["unix", "tcp"])
def anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine at each kind of address; at a socket the SDK must not be needed."""
    with running_engine(tcp=request.param == "tcp") as fake:
        monkeypatch.setenv("DOCKER_HOST", fake.host)
        fake.answers["GET /_ping"] = (200, b"OK")
        fake.answers |= dict.fromkeys(("GET /version", "GET /v1.48/version"), json_answer(VERSION))
        fake.headers = PING_HEADERS
        if request.param == "unix":
            monkeypatch.delattr("azureml_tasks.engines.docker.client._sdk_client")
        yield fake


@pytest.fixture
def client(anywhere: FakeEngine) -> Iterator[EngineClient]:
    """A client of that engine."""
    connected = connect()
    if anywhere.host.startswith("unix"):
        anywhere.requests.clear()
        yield connected
        return
    with closing(connected.sdk):
        anywhere.requests.clear()
        yield connected


def test_connect(anywhere: FakeEngine) -> None:
    """The engine is described alike at every address; at a socket by one fast request."""
    expected = EngineClient(
        context="default", host=anywhere.host, version="28.0.1", api="1.48", has_buildkit=True
    )

    assert expected == connect()
    assert anywhere.host.startswith("tcp") or ["GET /_ping"] == anywhere.requests


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (PING_HEADERS, True),
        ({**PING_HEADERS, "Api-Version": "1.41"}, True),
        ({**PING_HEADERS, "Api-Version": "1.40"}, False),
        ({**PING_HEADERS, "Ostype": "windows"}, False),
        ({**PING_HEADERS, "Server": "Libpod/4.3.1 (linux)"}, False),
    ],
)
def test_has_buildkit(headers: dict[str, str], expected: bool, engine: FakeEngine) -> None:
    """Docker for Linux has had BuildKit in its API since 20.10, API 1.41."""
    engine.answers["GET /_ping"] = (200, b"OK")
    engine.headers = headers

    assert expected == connect().has_buildkit


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Server": "nginx/1.27 (linux)", "Api-Version": "1.48"},
        {"Server": "Docker/28.0.1 (linux)"},
        {"Server": "Docker", "Api-Version": "1.48"},
    ],
)
def test_connect_behind_a_proxy(headers: dict[str, str], engine: FakeEngine) -> None:
    """If the headers of the ping do not describe the engine, `/version` does."""
    engine.answers |= {"GET /_ping": (200, b"OK"), "GET /version": json_answer(VERSION)}
    engine.headers = headers
    expected = EngineClient(
        context="default", host=engine.host, version="28.0.1", api="1.48", has_buildkit=True
    )

    assert (expected, ["GET /_ping", "GET /version"]) == (connect(), engine.requests)


def test_connect_to_podman(engine: FakeEngine) -> None:
    """Podman is known by the header Server of its ping, or by the components of its version."""
    engine.answers["GET /version"] = json_answer({**VERSION, "Components": [{"Name": "Podman Engine"}]})
    clients = [connect()]
    engine.answers["GET /_ping"] = (200, b"OK")
    engine.headers = {"Server": "Libpod/4.3.1 (linux)", "Api-Version": "1.41"}
    clients.append(connect())

    assert [("28.0.1", True), ("4.3.1", True)] == [(each.version, each.is_podman) for each in clients]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (json_answer([]), "the answer to GET /version is not that of an engine"),
        (json_answer("28"), "the answer to GET /version is not that of an engine"),
        ((200, b"<html>"), "Expecting value: line 1 column 1 (char 0)"),
        (json_answer(VERSION, 500), "GET /version was answered with HTTP status 500"),
        ((0, b"SSH-2.0-server\r\n"), "SSH-2.0-server"),
    ],
)
def test_connect_to_something_else(answer: tuple[int, bytes], cause: str, engine: FakeEngine) -> None:
    """A server that is not an engine is an error with its address and its answer."""
    engine.answers["GET /version"] = answer

    with pytest.raises(EngineError) as caught:
        connect()

    expected = f"""\
Docker's engine does not answer (DOCKER_HOST names {engine.host}).
    Start it: open Docker Desktop, or on Linux: sudo systemctl start docker
    or, for the engine of docker's current context: unset DOCKER_HOST
    the connection failed: {cause}"""
    assert expected == str(caught.value).rstrip()


def test_connect_to_a_port_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TCP address is connected to by Docker's SDK, whose error is shown."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("DOCKER_HOST", host)

    with pytest.raises(EngineError) as caught:
        connect()

    expected = f"""\
Docker's engine does not answer (DOCKER_HOST names {host}).
    Check that an engine answers there: docker --host {host} version
    or, for the engine of docker's current context: unset DOCKER_HOST
    the connection failed: Connection refused"""
    assert expected == str(caught.value)


def test_the_variable_is_named_only_if_it_leads_to_the_engine() -> None:
    """An engine of a docker context is named by that, and DOCKER_HOST has no part in the next step."""
    own = Endpoint(context="own", host="unix:///none.sock")

    errors = [
        unreachable_error(endpoint, ConnectionRefusedError("no"))
        for endpoint in (own, replace(own, from_variable=True))
    ]

    expected = """\
Docker's engine does not answer (context "own", unix:///none.sock).
    Start it: open Docker Desktop, or on Linux: sudo systemctl start docker
    the connection failed: no
Docker's engine does not answer (DOCKER_HOST names unix:///none.sock).
    Start it: open Docker Desktop, or on Linux: sudo systemctl start docker
    or, for the engine of docker's current context: unset DOCKER_HOST
    the connection failed: no"""
    assert expected == "\n".join(map(str, errors))


def test_the_sdk_asks_the_same_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context without a config.json, and any other, leads us and Docker's SDK to one engine."""
    for name in ("DOCKER_HOST", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "own")
    monkeypatch.chdir(tmp_path)
    with running_engine() as fake:
        described = {"Endpoints": {"docker": {"Host": fake.host}}}
        file = f"contexts/meta/{sha256(b'own').hexdigest()}/meta.json"
        lay_out({file: json.dumps(described)}, tmp_path / ".docker")
        fake.answers |= {"GET /_ping": (200, b"OK"), "GET /v1.48/images/x/json": json_answer(IMAGE)}
        fake.headers = PING_HEADERS

        client = connect()
        with closing(client.sdk):
            image = client.sdk.images.get("x").attrs

    assert (("own", fake.host), IMAGE) == ((client.context, client.host), image)
    assert ["GET /_ping", "GET /v1.48/images/x/json"] == fake.requests


def test_certificates_that_are_not_asked_for(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_CERT_PATH alone changes nothing, as for docker's client; Docker's SDK by itself would ask for TLS."""
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    engine.answers["GET /_ping"] = (200, b"OK")
    engine.headers = PING_HEADERS

    with closing(connect().sdk) as sdk:
        assert sdk.api.base_url == "http+docker://localhost"


def test_inspect_image(anywhere: FakeEngine, client: EngineClient) -> None:
    """An image is inspected by one request; None if the engine does not have it."""
    anywhere.answers["GET /v1.48/images/demo:1/json"] = json_answer(IMAGE)

    images = [client.inspect_image(name) for name in ("demo:1", "none")]

    expected = ["GET /v1.48/images/demo:1/json", "GET /v1.48/images/none/json"]
    assert ([IMAGE, None], expected) == (images, anywhere.requests)


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("r.io:5000/a/b@sha256:1", "/images/r.io:5000/a/b@sha256:1/json"),
        ("a?b#c%d", "/images/a%3Fb%23c%25d/json"),
    ],
)
def test_a_reference_cannot_leave_its_path(
    reference: str, path: str, anywhere: FakeEngine, client: EngineClient
) -> None:
    """A reference keeps its slashes; every character with a meaning in a URL is quoted."""
    client.inspect_image(reference)

    assert [f"GET /v1.48{path}"] == anywhere.requests


@pytest.mark.parametrize("body", [b"", b"Created"])
def test_tag_image(body: bytes, anywhere: FakeEngine, client: EngineClient) -> None:
    """Repository and tag are split at the last colon; Docker answers nothing, and Podman a word."""
    request = "POST /v1.48/images/sha256:1/tag?repo=r.io%3A5000%2Fdemo&tag=1"
    anywhere.answers[request] = (201, body)

    client.tag_image("sha256:1", "r.io:5000/demo:1")

    assert [request] == anywhere.requests


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(json_answer([{"Untagged": "demo:1"}]), True), (json_answer({"message": "in use"}, 409), False)],
)
def test_remove_image(
    answer: tuple[int, bytes], expected: bool, anywhere: FakeEngine, client: EngineClient
) -> None:
    """The status of the answer tells whether the image was removed."""
    anywhere.answers["DELETE /v1.48/images/demo:1"] = answer

    assert expected == client.remove_image("demo:1")


@pytest.mark.parametrize(("no_cache", "more"), [(False, ""), (True, "&nocache=1")])
def test_build(anywhere: FakeEngine, client: EngineClient, *, no_cache: bool, more: str) -> None:
    """The archive is sent with the options in the query, and the events of the answer are returned."""
    options = "t=name%3A1&platform=linux%2Famd64&buildargs=%7B%22A%22%3A+%221%22%7D&rm=1&forcerm=1"
    answer = (200, b'{"stream": "a"}\n{"aux": {"ID": "1"}}\n')
    anywhere.answers[f"POST /v1.48/build?{options}{more}"] = answer

    events = list(
        build_events(
            client, iter(BLOCKS), "linux/amd64", {"A": "1"}, name="name:1", no_cache=no_cache, buildkit=False
        )
    )

    expected = [{"stream": "a"}, {"aux": {"ID": "1"}}]
    assert (expected, [b"".join(BLOCKS)]) == (events, anywhere.bodies)


def streams(*pieces: str) -> list[dict[str, Any]]:
    """Events with these texts of a build."""
    return [{"stream": piece} for piece in pieces]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    {
        "a line in pieces, as apt writes it": (
            ["E", ": Unable to locate ", "x\n"],
            ["E: Unable to locate x\n"],
        ),
        "several lines in a piece": (["a\nb\nc", "d\n"], ["a\nb\n", "cd\n"]),
        "a line of the builder in pieces": (["Step 1/2 : USER root", "\n"], ["Step 1/2 : USER root\n"]),
        "a step that does not end its line": (["done", " ---> 0a1b\n"], ["done", " ---> 0a1b\n"]),
        "and the next step": (["done", "Step 2/2 : USER a", "\n"], ["done", "Step 2/2 : USER a\n"]),
        "an end without a line end": (["a"], ["a"]),
        "a line that does not end": (["a" * 10_001, "b", "c"], ["a" * 10_001, "bc"]),
    }.values(),
)
def test_lines_of_a_build_are_whole(pieces: list[str], lines: list[str]) -> None:
    """The engine sends what a step writes piece by piece; each line is shown once it has ended."""
    assert streams(*lines) == list(whole_lines(streams(*pieces)))


def test_what_is_no_text_of_a_build_ends_a_line() -> None:
    """An error and the ID of the image come after all that was printed."""
    error = {"error": "The command failed."}
    assert [*streams("a"), error] == list(whole_lines([*streams("a"), error]))


def test_a_build_gets_the_proxies_of_dockers_configuration(engine: FakeEngine) -> None:
    """A build by the API gets what docker's client gives to its builds; an argument of ours precedes."""
    config = DockerConfig(values={"proxies": {"default": {"httpProxy": "http://p", "noProxy": "x"}}})
    client = EngineClient(context="default", host=engine.host, version="1", api="1.48", config=config)

    with suppress(RefusedError):
        list(
            build_events(
                client, [], "p", {"A": "1", "no_proxy": "y"}, name="", no_cache=False, buildkit=False
            )
        )

    sent = parse_qs(urlsplit(engine.requests[0].removeprefix("POST ")).query)["buildargs"]
    expected = {
        "HTTP_PROXY": "http://p",
        "http_proxy": "http://p",
        "NO_PROXY": "x",
        "no_proxy": "y",
        "A": "1",
    }
    assert [expected] == [json.loads(each) for each in sent]


def test_a_refused_build(client: EngineClient) -> None:
    """A build that the engine refuses is an error with its message."""
    with pytest.raises(RefusedError) as caught:
        list(build_events(client, iter(BLOCKS), "linux/amd64", {}, name="", no_cache=False, buildkit=False))

    assert "no such thing" == str(caught.value)


# Errors that a command does not expect


def test_a_refused_request(anywhere: FakeEngine, client: EngineClient) -> None:
    """An error status that no command expects is shown with the engine's message."""
    anywhere.answers["GET /v1.48/images/demo:1/json"] = json_answer({"message": "driver failed"}, 500)

    with pytest.raises(EngineError) as caught, translate_errors(client.host):
        client.inspect_image("demo:1")

    expected = f"""\
The engine at {anywhere.host} refused a request.
    See its message, and the engine's log.
    docker said: driver failed"""
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ((200, b"<html>"), "gave an answer that cannot be read."),
        ((0, b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}"), "stopped answering."),
    ],
)
def test_a_broken_answer(
    answer: tuple[int, bytes], what: str, anywhere: FakeEngine, client: EngineClient
) -> None:
    """An answer that is not JSON is one that cannot be read; one that is cut off means that the engine is gone."""
    anywhere.answers["GET /v1.48/images/demo:1/json"] = answer

    with pytest.raises(EngineError) as caught, translate_errors(client.host):
        client.inspect_image("demo:1")

    assert f"The engine at {anywhere.host} {what}" == caught.value.what


@pytest.mark.parametrize("answer", [b"[]", b"{}", b"1", b"null", b"<html>", b'{"Id": 1}'])
def test_an_answer_that_the_sdk_cannot_read(answer: bytes, engine: FakeEngine) -> None:
    """The SDK looks into answers without checking them: what it raises then is the engine's answer, not our bug."""
    engine.answers |= {"GET /_ping": (200, b"OK"), "POST /v1.48/containers/create": (201, answer)}
    engine.headers = PING_HEADERS
    client = connect()

    with (
        closing(client.sdk),
        pytest.raises(EngineError) as caught,
        translate_errors(client.host),
        reading_answers(),
    ):
        client.sdk.containers.create("x")

    assert f"The engine at {engine.host} " == caught.value.what[: len(engine.host) + 15]
    assert 3 == caught.value.exit_code


@pytest.mark.parametrize("from_variable", [True, False])
def test_an_engine_that_ssh_does_not_lead_to(*, from_variable: bool) -> None:
    """The variable that names it is named, and can be unset; a context is left to docker's client."""
    endpoint = Endpoint(context="default", host="ssh://builder", from_variable=from_variable)

    error = unreachable_by_ssh(endpoint, "no route", OSError())

    where = "DOCKER_HOST names ssh://builder" if from_variable else 'context "default", ssh://builder'
    unset = "    or, for the engine of docker's current context: unset DOCKER_HOST\n" if from_variable else ""
    expected = f"""\
Docker's engine cannot be reached by ssh ({where}).
    Check that docker's client reaches it: docker --host ssh://builder version
{unset}    ssh said: no route"""
    assert expected == str(error)


def test_our_own_errors_are_not_the_engines(engine: FakeEngine) -> None:
    """A KeyError of ours is a bug, which keeps its traceback."""
    with pytest.raises(KeyError), translate_errors(engine.host):
        raise KeyError


def test_a_dead_engine_is_named_before_anything_else_is_blamed(engine: FakeEngine) -> None:
    """After something failed, the engine is asked whether it still answers."""
    engine.answers |= {"GET /_ping": (200, b"OK"), "GET /v1.48/_ping": (200, b"OK")}
    engine.headers = PING_HEADERS
    client = connect()
    client.confirm_alive()
    gone = replace(client, host="unix:///nowhere/docker.sock")

    with pytest.raises(EngineError) as caught:
        gone.confirm_alive()

    assert "The engine at unix:///nowhere/docker.sock stopped answering." == caught.value.what


def test_an_engine_that_went_away(engine: FakeEngine) -> None:
    """A socket that is gone is an engine that stopped, not a file of the user's that is missing."""
    with running_engine() as other:
        client = EngineClient(context="default", host=other.host, version="1", api="1.48")

    with pytest.raises(EngineError) as caught, translate_errors(client.host):
        client.inspect_image("demo:1")

    expected = f"""\
The engine at {other.host} stopped answering.
    Check that it still runs: docker version
    the connection failed: No such file or directory"""
    assert (expected, []) == (str(caught.value), engine.requests)
