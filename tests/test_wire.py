"""Plain questions to an engine at a socket, and where that socket is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from azureml_tasks.engines.docker.api_build import built
from azureml_tasks.engines.docker.client import EngineClient, connect
from azureml_tasks.engines.docker.socket_http import RefusedError, ask, image_path, send
from azureml_tasks.errors import EngineError
from tests.engine_at_a_socket import Engine, answering, said

ABOUT = {
    "Version": "28.0.1",
    "ApiVersion": "1.48",
    "Components": [{"Name": "Engine"}, {"Name": "containerd"}],
}
GREETING = {"Server": "Docker/28.0.1 (linux)", "Api-Version": "1.48", "Ostype": "linux"}
IMAGE = {"Id": "sha256:1", "Os": "linux"}


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine at a socket."""
    with answering() as found:
        yield found


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(said({"Id": "é"}), (200, {"Id": "é"}), id="JSON"),
        pytest.param(said({"message": "none"}, 404), (404, {"message": "none"}), id="an error in JSON"),
        pytest.param((201, b""), (201, None), id="nothing"),
        pytest.param((200, b"<html>"), None, id="no JSON"),
        pytest.param((200, b"\xff"), None, id="no text"),
        pytest.param((0, b"SSH-2.0-server\r\n"), None, id="no HTTP"),
        pytest.param((0, b""), None, id="no answer"),
        pytest.param(
            (0, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more"), (200, {}), id="more than it"
        ),
        pytest.param((0, b"HTTP/1.0 200 OK\r\n\r\n{}"), (200, {}), id="up to the end"),
        pytest.param((0, b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}"), None, id="less than it"),
        pytest.param((0, b"HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\n{}"), None, id="no length"),
        pytest.param(
            (0, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            None,
            id="in chunks",
        ),
        pytest.param((0, b"HTTP/2 200\r\n\r\n{}"), None, id="another protocol"),
    ],
)
def test_an_answer_is_its_status_and_its_json(
    answer: tuple[int, bytes], expected: tuple[int, Any] | None, engine: Engine
) -> None:
    """Whatever is no answer in JSON, or in nothing, is none."""
    engine.answers["GET /version"] = answer

    assert expected == ask(engine.host, "/version")


@pytest.mark.parametrize(
    "host",
    ["unix:///nowhere/docker.sock", "unix://", "tcp://127.0.0.1:1", "ssh://host", "", "unix:///" + "x" * 200],
)
def test_where_nobody_is_there_is_no_answer(host: str) -> None:
    """An address without a socket, or of another kind, gives none, and no error."""
    assert ask(host, "/version") is None


def test_the_method_is_sent(engine: Engine) -> None:
    """What changes something is posted."""
    engine.answers["POST /images/a/tag?repo=b"] = (201, b"")

    assert (201, None) == ask(engine.host, "/images/a/tag?repo=b", method="POST")


def test_a_reference_keeps_its_slashes() -> None:
    """A path names an image as the API has it, and nothing in a name leads out of it."""
    assert "/images/r.io:5000/a/b@sha256:1/" == f"{image_path('r.io:5000/a/b@sha256:1')}/"
    assert "/images/a%3Fb%23c%25d" == image_path("a?b#c%d")


# What is asked of an engine


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> EngineClient:
    """That engine, found as docker finds it."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers["GET /_ping"] = (200, b"OK")
    engine.headers = GREETING
    return connect()


@pytest.fixture
def _without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's client cannot be had."""
    monkeypatch.delattr("azureml_tasks.engines.docker.client._sdk_client")


def test_an_engine_is_known_by_its_greeting(engine: Engine, client: EngineClient) -> None:
    """Its version and that of its API are what it says, by the one question that it answers at once."""
    expected = EngineClient(
        context="default", host=engine.host, version="28.0.1", is_podman=False, api="1.48", has_buildkit=True
    )

    assert (expected, ["GET /_ping"]) == (client, engine.asked)


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (GREETING, True),
        ({**GREETING, "Api-Version": "1.41"}, True),
        ({**GREETING, "Api-Version": "1.40"}, False),
        ({**GREETING, "Ostype": "windows"}, False),
        ({**GREETING, "Server": "Libpod/4.3.1 (linux)"}, False),
    ],
)
def test_docker_for_linux_has_had_that_buildkit_since_20_10(
    greeting: dict[str, str], expected: bool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine's own BuildKit is used where it is known to be there, by the version of its API and its system."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers["GET /_ping"] = (200, b"OK")
    engine.headers = greeting

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
def test_an_engine_behind_another_server_is_asked_who_it_is(
    headers: dict[str, str], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its greeting does not say, its version and that of its API are those of a second answer."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers |= {"GET /_ping": (200, b"OK"), "GET /version": said(ABOUT)}
    engine.headers = headers
    expected = EngineClient(
        context="default", host=engine.host, version="28.0.1", is_podman=False, api="1.48"
    )

    assert (expected, ["GET /_ping", "GET /version"]) == (connect(), engine.asked)


def test_podman_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that greets as Podman's library, or has a component of Podman's, is Podman."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers["GET /version"] = said({**ABOUT, "Components": [{"Name": "Podman Engine"}]})
    found = [connect()]
    engine.answers["GET /_ping"] = (200, b"OK")
    engine.headers = {"Server": "Libpod/4.3.1 (linux)", "Api-Version": "1.41"}
    found.append(connect())

    assert [("28.0.1", True), ("4.3.1", True)] == [(each.version, each.is_podman) for each in found]


@pytest.mark.parametrize("answer", [said([]), said("28"), (200, b""), said(ABOUT, 500), (200, b"<html>")])
def test_what_is_no_engine_is_unreachable(
    answer: tuple[int, bytes], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something else that answers at the socket is told apart from an engine, and named."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.answers["GET /version"] = answer

    with pytest.raises(EngineError, match=engine.host):
        connect()


@pytest.mark.usefixtures("_without_the_sdk")
def test_an_image_is_asked_for_and_named_without_the_sdk(engine: Engine, client: EngineClient) -> None:
    """What it says of an image, there or not, and a new name, take one question each, and the SDK is not loaded."""
    tag = "POST /v1.48/images/sha256:1/tag?repo=r.io%3A5000%2Fdemo&tag=1"
    engine.answers |= {"GET /v1.48/images/demo:1/json": said(IMAGE), tag: (201, b"")}

    found = [client.inspect_image(name) for name in ("demo:1", "none")]
    client.tag_image("sha256:1", "r.io:5000/demo:1")

    asked = ["GET /_ping", "GET /v1.48/images/demo:1/json", "GET /v1.48/images/none/json", tag]
    assert ([IMAGE, None], asked) == (found, engine.asked)


@pytest.mark.usefixtures("_without_the_sdk")
def test_the_images_of_a_repository_are_told_without_the_sdk(engine: Engine, client: EngineClient) -> None:
    """Each that has a name in it is told as the engine knows it; one that goes away meanwhile is none."""
    listing = "GET /v1.48/images/json?filters=%7B%22reference%22%3A+%5B%22demo%2Fprefix%22%5D%7D"
    engine.answers |= {
        listing: said([{"Id": "sha256:1"}, {"Id": "sha256:2"}]),
        "GET /v1.48/images/sha256:1/json": said(IMAGE),
    }
    engine.answers["GET /v1.48/images/sha256:2/json"] = said({"message": "none"}, 404)

    assert [IMAGE] == client.inspect_images("demo/prefix")


@pytest.mark.usefixtures("_without_the_sdk")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [(said([{"Untagged": "demo:1"}]), True), (said({"message": "in use"}, 409), False)],
)
def test_a_name_is_removed_without_the_sdk(
    answer: tuple[int, bytes], expected: bool, engine: Engine, client: EngineClient
) -> None:
    """The engine's answer tells whether it did so."""
    engine.answers["DELETE /v1.48/images/demo:1"] = answer

    assert expected == client.remove_image("demo:1")


# What is sent to an engine

BLOCKS = [b"one", b"", b"x" * 100_000, b"three"]


def test_an_archive_is_sent_as_it_comes(engine: Engine) -> None:
    """Every byte of it arrives, and each line of the answer that says something is given."""
    engine.answers["POST /build"] = (200, b'{"stream": "a"}\r\n\r\n{"stream": "b"}\n')

    found = list(send(engine.host, "/build", iter(BLOCKS)))

    assert ([b'{"stream": "a"}\r\n', b'{"stream": "b"}\n'], [b"".join(BLOCKS)]) == (found, engine.sent)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said({"message": "no space"}, 500), "no space"),
        (said({}, 500), "{}"),
        ((502, b"<h1>no way</h1>\n"), "<h1>no way</h1>"),
        ((400, b""), "Bad Request"),
    ],
)
def test_a_refusal_is_what_the_engine_says(answer: tuple[int, bytes], expected: str, engine: Engine) -> None:
    """An answer that is no success is an error with its message, or else with all of it, or those of its status."""
    engine.answers["POST /build"] = answer

    with pytest.raises(RefusedError) as caught:
        list(send(engine.host, "/build", iter(BLOCKS)))

    assert expected == str(caught.value)


@pytest.mark.usefixtures("_without_the_sdk")
@pytest.mark.parametrize(("no_cache", "more"), [(False, ""), (True, "&nocache=1")])
def test_a_build_is_asked_for_without_the_sdk(
    engine: Engine, client: EngineClient, *, no_cache: bool, more: str
) -> None:
    """Platform, arguments and whether a cache counts are what is asked for; events are those of the answer."""
    options = "platform=linux%2Famd64&buildargs=%7B%22A%22%3A+%221%22%7D&rm=1&forcerm=1"
    engine.answers[f"POST /v1.48/build?{options}{more}"] = (200, b'{"stream": "a"}\n{"aux": {"ID": "1"}}\n')

    asked = built(client, iter(BLOCKS), "linux/amd64", {"A": "1"}, no_cache=no_cache)
    found = list(asked)

    assert [{"stream": "a"}, {"aux": {"ID": "1"}}] == found
