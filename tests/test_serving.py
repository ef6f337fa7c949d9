"""An image that serves for a block of Python: what happens before, in and after it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest
import requests

import azureml_tasks
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.errors import EngineError, SettingsError, SmokeTestError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.smoke.container_protocol import Runner, State
from azureml_tasks.smoke.log_excerpt import LogExcerpt
from azureml_tasks.smoke.run import answering
from tests import http_server
from tests.cases import lay_out
from tests.consumers import project
from tests.plans import plan
from tests.projects import replaced
from tests.stub_engine import StubEngine, stub_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

IMAGE = BuiltImage(
    id="sha256:" + "5f" * 32, names=("demo:1.0",), engine="docker", context_sha256="", user="u"
)
SMOKE_TEST = "[tool.azureml-image.smoke-test]\nrequests = [{ body = {} }]\n"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    """An engine in place of Docker's, whose servers send back what they get."""
    return stub_engine(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path, engine: StubEngine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose image is built, and not tested."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    files = {
        "pyproject.toml": project("demo", SMOKE_TEST),
        "code/score.py": "def init(): ...\ndef run(data): ...\n",
    }
    lay_out(files, tmp_path)
    azureml_tasks.build(tmp_path)
    engine.events.clear()
    return tmp_path


def test_the_server_of_the_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go to the scoring path or to another one, through no proxy; any status is an answer."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with azureml_tasks.serving(folder) as server:
        answers = [
            server.post(json={"a": 1}),
            server.post(data=b"raw", headers={"Content-Type": "text/plain"}),
            server.post("/other", json=[]),
            server.get(),
            server.get("/missing"),
        ]
        log = server.log()

    assert [
        (200, 'POST /score {"a": 1}'),
        (200, "POST /score raw"),
        (200, "POST /other []"),
        (200, "GET / "),
        (404, "GET /missing "),
    ] == [(answer.status_code, answer.text) for answer in answers]
    assert ("log of demo:1.2.3\n", "demo:1.2.3", f"{server.url}/score") == (
        log,
        server.image,
        server.scoring_url,
    )


def test_it_is_tested_once(folder: Path, engine: StubEngine) -> None:
    """An image that has not passed is tested first; after that, and until the smoke test changes, it only serves."""
    results = []
    for change in ("", "", "repeat = 3\n"):
        replaced(folder / "pyproject.toml", SMOKE_TEST, SMOKE_TEST + change)
        with azureml_tasks.serving(folder, progress=lambda event: results.append(event.result)):
            engine.events.append("block")

    once = ["serve demo", "block", "end demo"]
    assert ["test demo", *once, *once, "test demo", *once] == engine.events
    assert ["passed", "passed"] == [result.status for result in results if result]


def test_an_image_that_fails_does_not_serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the report; the block does not begin."""
    engine = stub_engine(monkeypatch, "test demo")

    with pytest.raises(azureml_tasks.FailedSmokeTest) as raised, azureml_tasks.serving(folder):
        pytest.fail("the block began")

    assert (["test demo"], "Nothing serves.") == (engine.events, raised.value.state)


def test_an_image_that_does_not_answer_any_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has passed before, and is no server now."""
    azureml_tasks.smoke_test(folder)
    stub_engine(monkeypatch, "serve demo")

    with pytest.raises(SmokeTestError, match="It does not answer"), azureml_tasks.serving(folder):
        pytest.fail("the block began")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, SystemExit(3), OSError("mine"), requests.ConnectionError]
)
def test_an_exception_of_the_block(
    error: BaseException | type[BaseException], folder: Path, engine: StubEngine
) -> None:
    """It goes on as it is, after the container is gone."""
    with (
        pytest.raises(error if isinstance(error, type) else type(error)) as raised,
        azureml_tasks.serving(folder),
    ):
        raise error

    assert raised.value is error or isinstance(error, type)
    assert "end demo" == engine.events[-1]


def test_the_project_is_not_locked_meanwhile(folder: Path) -> None:
    """In the block, another command runs at once."""
    events: list[str] = []
    with azureml_tasks.serving(folder):
        azureml_tasks.build(folder, no_cache=True, progress=lambda event: events.append(event.text))

    assert not any("waiting" in text for text in events)


def test_one_of_several_images(folder: Path, engine: StubEngine) -> None:
    """One is named, or it is a mistake."""
    images = "[tool.azureml-image.images.cpu]\n[tool.azureml-image.images.gpu]\n"
    (folder / "pyproject.toml").write_text(project("demo", f"{SMOKE_TEST}{images}"))
    azureml_tasks.build(folder)

    with azureml_tasks.serving(folder, image="gpu") as server:
        named = server.image
    with pytest.raises(SettingsError) as raised, azureml_tasks.serving(folder):
        pytest.fail("the block began")

    assert ("demo-gpu:1.2.3", "end demo-gpu") == (named, engine.events[-1])
    assert "serving: is for one image, and the table has several: cpu, gpu" in raised.value.what


def test_a_batch_deployment_has_no_server(folder: Path, engine: StubEngine) -> None:
    """Its table is refused, with the command that tests it."""
    table = project("demo", '[tool.azureml-image.smoke-test]\nmini-batch = ["a.csv"]\n')
    lay_out({"pyproject.toml": table, "a.csv": "1\n"}, folder)
    azureml_tasks.build(folder)
    engine.events.clear()

    with (
        pytest.raises(SettingsError, match="batch deployment, which has no server"),
        azureml_tasks.serving(folder),
    ):
        pytest.fail("the block began")

    assert [] == engine.events


def test_code_that_azure_ml_mounts(folder: Path, engine: StubEngine) -> None:
    """The base serves it, and is tested again as soon as the code is another one."""
    lay_out({"pyproject.toml": project("demo", f'delivery = "mount"\n{SMOKE_TEST}')}, folder)
    for text in ("1", "1", "2"):
        lay_out({"code/helper.py": text}, folder)
        with azureml_tasks.serving(folder):
            engine.events.append("block")

    once = ["serve minimal-py312-inference", "block", "end minimal-py312-inference"]
    assert ["test demo", *once, *once, "test demo", *once] == engine.events


class Container:
    """A container whose server is in this process.

    Args:
        url: of the server; "" if it is on another machine.
        runs: whether the container still runs.
        inside: whether its port is open in the container.
    """

    def __init__(self, url: str, *, runs: bool = True, inside: bool = False) -> None:
        self.url, self.runs, self.inside = url, runs, inside
        self.is_gone = False

    def address(self) -> str:
        """Return the URL."""
        return self.url

    def state(self) -> State:
        """Return what the test set."""
        return State(running=self.runs, exit_code=3, out_of_memory=False)

    def log(self) -> LogExcerpt:
        """Return one line."""
        return LogExcerpt("ImportError: no module", 1)

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """Say whether the port is open."""
        del argv
        return iter(["open"] if self.inside else [])

    @contextmanager
    def running(self, image: BuiltImage, smoke_test: SmokeTestPlan) -> Iterator[Container]:
        """Be the engine as well."""
        del image, smoke_test
        try:
            yield self
        finally:
            self.is_gone = True


def in_block(container: Container, start_timeout: float = 0) -> Container:
    """Run a block while *container* answers, and return what the block got."""
    planned = plan(smoke_test=SmokeTestPlan(start_timeout=start_timeout))
    with answering(planned, IMAGE, cast("Runner", container), Console()) as got:
        assert not container.is_gone
        return cast("Container", got)


def test_only_the_health_check_is_asked() -> None:
    """Nobody else has asked the server before the block; the container is gone after it."""
    with http_server.serving(lambda *_: (200, b"")) as server:
        container = Container(server.url)
        assert in_block(container) is container

    assert [("GET", "/")] == [request[:2] for request in server.requests]
    assert container.is_gone


def test_a_container_that_does_not_become_ready() -> None:
    """The error is the report of its start, with its log, and the container is gone."""
    with http_server.serving(lambda *_: (503, b"")) as server:
        slow, ended = Container(server.url), Container(server.url, runs=False)
        with pytest.raises(SmokeTestError, match=r"(?s)Failed: start-up.*503.*ImportError: no module"):
            in_block(slow)
        with pytest.raises(SmokeTestError, match="the container exited with code 3"):
            in_block(ended, 60)

    assert slow.is_gone
    assert ended.is_gone


@pytest.mark.parametrize("is_published", [False, True])
def test_an_engine_on_another_machine(*, is_published: bool) -> None:
    """Its containers cannot be reached, by what the engine says or because only the inside is open."""
    with http_server.Server(lambda *_: None, listening=False) as server:
        container = Container(server.url if is_published else "", inside=True)
        with pytest.raises(EngineError, match="The engine is on another machine"):
            in_block(container, 60)

    assert container.is_gone
