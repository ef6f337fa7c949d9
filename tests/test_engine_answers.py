"""Any answer about a container, a build, a pull or a push: what was asked for, or one of our errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.api_build import build_events
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.container import DockerContainer, run_container
from azureml_tasks.engines.docker.pull import pull_image
from azureml_tasks.engines.docker.push import push_image
from azureml_tasks.engines.docker.socket_http import RefusedError
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.state.runs import Run
from tests.examples import examples
from tests.fake_engine import FakeEngine, running_engine

IMAGE = BuiltImage(id="sha256:1", names=("demo:1",), engine="docker", context_sha256="", user="u")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


def members(**forms: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that has some of the members, of the right form or of any."""
    return st.fixed_dictionaries({}, optional={name: form | JSON for name, form in forms.items()})


ANSWER = JSON | members(
    Id=st.just("1"),
    State=members(Running=JSON, ExitCode=JSON, OOMKilled=JSON),
    NetworkSettings=members(
        Ports=st.fixed_dictionaries({"5001/tcp": JSON | st.lists(members(HostPort=JSON))})
    ),
    memory_stats=members(max_usage=JSON),
    ExitCode=JSON,
    status=st.sampled_from(["Pushed", "Downloading"]),
    id=st.just("layer"),
    progressDetail=members(current=JSON, total=JSON),
    error=JSON,
    stream=JSON,
    aux=JSON,
    Descriptor=members(digest=JSON),
)
STATUS = st.sampled_from([200, 200, 200, 201, 204, 400, 404, 409, 500])


class AnyAnswer(dict[str, tuple[int, bytes]]):
    """The same answer to every request."""

    answer: tuple[int, bytes] = (200, b"")

    def get(self, _: str, default: Any = None) -> Any:
        """Return that answer."""
        del default
        return self.answer


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeEngine]:
    """An engine that DOCKER_HOST names."""
    with running_engine() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", fake.host)
        patch.setattr("azureml_tasks.engines.docker.push.time.sleep", lambda _: None)
        fake.answers = AnyAnswer()
        yield fake


@pytest.fixture(scope="module")
def client(engine: FakeEngine) -> Iterator[EngineClient]:
    """A client of that engine."""
    client = EngineClient(context="default", host=engine.host, version="1", api="1.48")
    with closing(client.sdk):
        yield client


def started(client: EngineClient, records: Path) -> None:
    """Start a container, and ask for everything that a smoke test asks for."""
    run = Run(records, client.host)
    with run_container(client, IMAGE, SmokeTestPlan(), run, "one"):
        pass


QUESTIONS: dict[str, Callable[[EngineClient, Path], Any]] = {
    "container": lambda client, _: client.inspect_container("one"),
    "start": started,
    "build": lambda client, _: list(
        build_events(client, [], "linux/amd64", {}, name="demo:1", no_cache=False, buildkit=False)
    ),
    "pull": lambda client, _: pull_image(client, "r.io/demo", "1", Console()),
    "push": lambda client, _: push_image(client, "sha256:1", "127.0.0.1:1/demo:1", Console()),
}


@pytest.mark.parametrize("question", QUESTIONS)
@settings(max_examples=examples(40))
@given(answer=ANSWER, status=STATUS)
def test_any_answer(
    question: str,
    answer: Any,
    status: int,
    engine: FakeEngine,
    client: EngineClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """An answer of any form, with any status, is read, or is the engine's fault."""
    assert isinstance(engine.answers, AnyAnswer)
    engine.answers.answer = (status, b"" if status == 204 else json.dumps(answer).encode())

    with suppress(AzuremlTasksError, RefusedError), translate_errors(client.host):
        QUESTIONS[question](client, tmp_path_factory.getbasetemp())


class AnyModel:
    """A container of Docker's SDK whose engine answers the same to everything."""

    id = "one"

    def __init__(self, answer: Any) -> None:
        self.attrs = answer

    def reload(self) -> None:
        """Keep the answer."""

    def stats(self, **_: Any) -> Any:
        """Return the answer."""
        return self.attrs


@given(answer=ANSWER)
def test_any_state_of_a_container(answer: Any, client: EngineClient) -> None:
    """Its address, its state and its memory are read, or are the engine's fault."""
    container = DockerContainer(container=AnyModel(answer), client=client)

    for question in (container.address, container.state, container.peak_memory):
        with suppress(AzuremlTasksError), translate_errors(client.host):
            question()
