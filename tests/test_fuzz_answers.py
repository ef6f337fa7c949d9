"""Any answer of an engine, of a registry and of the probe ends in a value, or in one of our errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.engines.acr.cloud_smoke_test import report_from_events
from azureml_tasks.engines.docker import base_image, client, socket_http
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.docker_config import DockerConfig
from azureml_tasks.engines.docker.docker_context import Endpoint
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.plain_text import clean
from azureml_tasks.project.model import SmokeTestPlan, SmokeTestRequest
from azureml_tasks.registry.api import Manifest, RegistryApi
from azureml_tasks.registry.auth import Credentials, RegistryAuth
from azureml_tasks.registry.session import RegistrySession
from azureml_tasks.smoke.event_lines import EventCollector
from azureml_tasks.smoke.report import junit_xml, report_text
from tests.examples import examples
from tests.json_values import JSON
from tests.plans import plan

DIGEST = "sha256:" + "5f" * 32
IMAGE: Mapping[str, Any] = {
    "Id": DIGEST,
    "Os": "linux",
    "Architecture": "amd64",
    "Variant": "",
    "Created": "2026-01-01T00:00:00Z",
    "Config": {"Env": ["A=b"], "User": "", "Entrypoint": None, "Cmd": ["runsvdir"], "Labels": {}},
    "GraphDriver": {"Name": "overlay2"},
    "RootFS": {"Layers": [DIGEST]},
    "RepoTags": ["a:1"],
}
ABOUT: Mapping[str, Any] = {
    "ApiVersion": "1.41", "Version": "20.10", "Os": "linux", "Components": [{"Name": "Engine"}], "ID": "x",
}  # fmt: skip
MANIFEST: Mapping[str, Any] = {
    "config": {"digest": DIGEST, "size": 3},
    "layers": [{"digest": DIGEST, "size": 4}],
    "tags": ["1", "2"],
    "created": "2026-01-01T00:00:00Z",
    "token": "t",
}
EVENTS: list[dict[str, Any]] = [
    {"event": "waiting", "seconds": 0.1, "last": "connection refused"},
    {"event": "ready", "seconds": 1.0, "tries": 2},
    {"event": "swagger", "status": 200, "error": None},
    {"event": "answer", "index": 0, "status": 500, "headers": {"a": "b"}, "body": "e30=", "cut": False,
     "seconds": [0.1], "changed": {"repeat": 2, "status": None, "error": "cut off"}, "healthy": True},
    {"event": "no-answer", "index": 1, "error": "refused", "healthy": False},
    {"event": "malformed", "status": None, "error": "x", "healthy": True},
    {"event": "done", "seconds": 2.0},
    {"event": "container", "running": False, "exit_code": 1, "out_of_memory": False, "peak_memory": None, "stop": None,
     "log": "Traceback (most recent call last):\n  a"},
]  # fmt: skip
WORDS = st.text(max_size=9) | st.sampled_from(
    ["", DIGEST, "1.41", "linux", "a b\r\n", "\x1b[1m", "##[x]", "1" * 5000, "Docker/1 (x)"]
)


def changed(value: Any) -> st.SearchStrategy[Any]:
    """Return *value* with something in it, however deep, replaced by any JSON or left out."""
    if not isinstance(value, (dict, list)) or not value:
        return JSON | WORDS
    places = st.sampled_from(list(value) if isinstance(value, dict) else list(range(len(value))))

    def at(place: Any) -> st.SearchStrategy[Any]:
        inner = (changed(value[place]) | JSON | WORDS).map(lambda new: _with(value, place, new))
        return inner | st.just(_without(value, place))

    return places.flatmap(at) | JSON


def _with(value: Any, place: Any, new: Any) -> Any:
    return {**value, place: new} if isinstance(value, dict) else [*value[:place], new, *value[place + 1 :]]


def _without(value: Any, place: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    rest = {key: each for key, each in pairs if key != place}
    return rest if isinstance(value, dict) else list(rest.values())


def body_of(value: Any) -> bytes:
    """Return *value* as the JSON of an answer."""
    return json.dumps(value).encode()


BODIES = st.one_of(
    *(changed(dict(value)).map(body_of) for value in (IMAGE, ABOUT, MANIFEST)),
    st.just(body_of([IMAGE])),
    st.sampled_from([b"", b"null", b"[" * 3000, b"1" * 5000, b'{"a":' * 2000, b"\xff", b"NaN"]),
    st.binary(max_size=20),
)
STATUSES = st.sampled_from([200, 200, 200, 201, 202, 204, 301, 400, 401, 404, 409, 500])


def ends(call: Callable[[], object]) -> None:
    """Call it; an error must be one of our classes, with a text that is safe to print."""
    message = ""
    try:
        with translate_errors("unix:///engine"):
            call()
    except AzuremlTasksError as error:
        message = str(error)
    assert message == clean(message)


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck), report_multiple_bugs=False)
@given(
    answers=st.lists(st.tuples(STATUSES, BODIES), min_size=1, max_size=3),
    headers=st.dictionaries(st.sampled_from(["Server", "Api-Version", "Ostype"]), WORDS),
)
def test_any_answer_of_an_engine(answers: list[tuple[int, bytes]], headers: dict[str, str]) -> None:
    """The engine is connected to and asked about images."""
    endpoint = Endpoint(context="default", host="unix:///engine", config=DockerConfig())
    message = Message()
    for name, value in headers.items():
        message[name] = value.replace("\r", "").replace("\n", "")
    left = list(answers)

    def request(_host: str, _method: str, _path: str, *, timeout: float) -> socket_http.Response:
        del timeout
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return socket_http.Response(status, message, body)

    engine = EngineClient(context="default", host="unix:///engine", version="20.10", api="1.41")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket_http, "request", request)
        patch.setattr(client, "find_endpoint", lambda: endpoint)
        ends(client.connect)
        ends(lambda: base_image.find_base(engine, "a:1"))
        ends(lambda: engine.read_history(DIGEST))
        ends(engine.read_id)
        ends(lambda: engine.tag_image(DIGEST, "a:1"))
        ends(lambda: engine.remove_image("a:1"))


@settings(max_examples=examples(100), suppress_health_check=list(HealthCheck), report_multiple_bugs=False)
@given(
    answers=st.lists(st.tuples(STATUSES, BODIES), min_size=1, max_size=3),
    headers=st.dictionaries(
        st.sampled_from(["Docker-Content-Digest", "WWW-Authenticate", "Content-Type", "Link", "Location"]),
        WORDS | st.sampled_from(['Bearer realm="http://127.0.0.1:1/t",service="s"', "Basic", 'Bearer realm="://["', "<http://[>;rel=next"]),
    ),
    manifest=changed(dict(MANIFEST)).map(body_of) | BODIES,
)  # fmt: skip
def test_any_answer_of_a_registry(
    answers: list[tuple[int, bytes]], headers: dict[str, str], manifest: bytes
) -> None:
    """Each question to a registry, and what is read of a manifest."""
    left = list(answers)

    def send(_session: RegistrySession, method: str, url: str, **_: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response._content = left.pop(0) if len(left) > 1 else left[0]  # noqa: SLF001
        response.headers.update(headers)
        response.url, response.request = url, requests.Request(method, url).prepare()
        return response

    auth = RegistryAuth(
        session=RegistrySession(login_server="127.0.0.1:1"),
        credentials=lambda _: Credentials(user="u", password="p"),  # noqa: S106 -- of nobody
        sign_in="docker login",
    )
    api, of_registry = RegistryApi(auth=auth, ask_for=str), Manifest(content=manifest, media_type="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RegistrySession, "send", send)
        for call in (
            lambda: api.digest("a", "1"),
            lambda: api.manifest("a", "1"),
            lambda: api.tags("a"),
            lambda: api.config("a", of_registry),
            lambda: api.created("a", of_registry),
            lambda: (of_registry.blobs, of_registry.size, of_registry.config),
            lambda: api.copy(of_registry, "a", "b", "1"),
            lambda: api.delete("a", DIGEST),
        ):
            ends(call)


REQUEST = SmokeTestRequest(
    name="r.json", path="/score", body=b"{}", status=200, expect={"a": 1}, tolerance=0.1, timeout=5.0
)
BUILT = BuiltImage(id=DIGEST, names=("a:1",), engine="acr", context_sha256="", user="x")


@settings(max_examples=examples(130), suppress_health_check=list(HealthCheck), report_multiple_bugs=False)
@given(events=changed(EVENTS).filter(lambda value: isinstance(value, list)))
def test_any_events_of_the_probe(events: list[Any]) -> None:
    """An image prints them under its own Python; a report follows from those that are events."""
    smoke_test = plan(smoke_test=SmokeTestPlan(requests=(REQUEST, REQUEST)))

    report = report_from_events(smoke_test, BUILT, events)

    assert report_text(report)
    assert junit_xml(report)


@given(
    lines=st.lists(st.tuples(*[st.integers(0, 3)] * 3, st.text(max_size=30)).map(str) | st.text(max_size=30))
)
def test_any_lines_of_events(lines: list[str]) -> None:
    """Lines that are none of the probe's, or only a part of one, give no event."""
    collector = EventCollector(marker="m")
    for line in [*lines, "m 0 1/1 x", f"m 1 1/1 {'9' * 5000}", f"m {'9' * 5000} 1/1 x"]:
        collector.collect(f"m {line}")
        collector.collect(line)

    assert isinstance(collector.events(), list)
