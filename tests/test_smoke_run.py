"""The smoke test with a fake container: what only the engine knows, and where the requests are sent from."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from azureml_tasks import signals
from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.errors import EngineError
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.smoke.container_protocol import ContainerEnd, Runner, State
from azureml_tasks.smoke.events import make_report
from azureml_tasks.smoke.log_excerpt import LogExcerpt
from azureml_tasks.smoke.report import report_text
from azureml_tasks.smoke.run import smoke_test
from tests.plans import plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

IMAGE = BuiltImage(
    id="sha256:" + "5f" * 32, names=("train:1.0",), engine="docker", context_sha256="", user="dockeruser"
)
LIMITED = SmokeTestPlan(memory="1g")
RUNNING = State(running=True, exit_code=0, out_of_memory=False)
PASSED = (
    '{"event": "ready", "seconds": 1.5, "tries": 3}',
    '{"event": "swagger", "status": 200, "error": null}',
    '{"event": "malformed", "status": 500, "error": null, "healthy": true}',
    '{"event": "done", "seconds": 1.6}',
)


@dataclass(frozen=True, kw_only=True)
class FakeContainer:
    """A container on another machine."""

    id: str = "c0ffee"
    printed: Sequence[str] = PASSED
    current: State = RUNNING
    stopped_after: float = 0.1
    url: str = ""
    out_of_memory: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    def address(self) -> str:
        """Return what the test set; "" if the port is not on this machine."""
        return self.url

    def state(self) -> State:
        """Return what the test set."""
        return self.current

    def log(self, timeout: float = 0) -> LogExcerpt:
        """Return one line."""
        del timeout
        return LogExcerpt("a line of the log", 1)

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Keep the files."""
        self.files.update({f"{folder}/{name}": data for name, data in files.items()})

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """Return what the probe prints."""
        del argv
        return iter(self.printed)

    def ran_out_of_memory(self) -> bool:
        """Return what the test set."""
        return self.out_of_memory

    def peak_memory(self) -> int | None:
        """Return some memory."""
        return 129 * 2**20

    def stop(self) -> float:
        """Return what the test set."""
        return self.stopped_after


@dataclass(frozen=True, kw_only=True)
class FakeEngine:
    """An engine that runs one container."""

    container: FakeContainer | None

    @contextmanager
    def running(self, image: BuiltImage, smoke_test: SmokeTestPlan) -> Iterator[FakeContainer | None]:
        """Yield the container."""
        del image, smoke_test
        yield self.container


def report_on(container: FakeContainer, image: BuiltImage = IMAGE, **more: Any) -> str:
    """Return the text of the report on a container."""
    engine = cast("Runner", FakeEngine(container=container))
    report = smoke_test(plan(**{"smoke_test": LIMITED, **more}), image, engine, Console())
    assert report is not None
    return report_text(report)


PASS_TEXT = """\
train:1.0 passed its smoke test (sha256:5f5f5f5f5f5f, PLACE): only start-up was proven (no request).
    ready after 1.5 s
    peak memory 129 MiB""".replace("PLACE", "inside the container, because the engine is on another machine")


def test_pass() -> None:
    """If the engine is on another machine, the probe runs inside the container, and the report says so."""
    container = FakeContainer()
    text = report_on(container)

    assert text == PASS_TEXT
    assert sorted(name.rpartition("/")[2] for name in container.files) == ["probe.json", "probe.py"]


@pytest.mark.parametrize("user", ["", "0", "root"])
def test_root(user: str) -> None:
    """An image that runs as root passes with a warning."""
    image = BuiltImage(id=IMAGE.id, names=IMAGE.names, engine="docker", context_sha256="", user=user)

    assert f"{PASS_TEXT}\nWarning: the image runs as root" == report_on(FakeContainer(), image)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1"])
def test_a_signal_whose_exception_was_dropped_ends_the_wait(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops what a signal handler raises while an object is cleared away; nothing listens at the port."""
    monkeypatch.setattr(signals, "received", [signal.SIGINT])

    with pytest.raises(KeyboardInterrupt):
        report_on(FakeContainer(url=url))


def test_slow_stop() -> None:
    """A container that stops slowly gets a warning with the time it took."""
    expected = "Warning: the container took 10.2 s to stop: its base does not stop its services on request"

    assert f"{PASS_TEXT}\n{expected}" == report_on(FakeContainer(stopped_after=10.2))


def test_no_code() -> None:
    """An image without code gets a warning that the default entry script was served."""
    expected = (
        "the image has no code, so a default entry script showed that the server starts with its packages"
    )

    assert f"{PASS_TEXT}\nWarning: {expected}" == report_on(
        FakeContainer(), smoke_test=LIMITED._replace(default_script=True)
    )


def test_memory_ran_out_and_a_worker_was_killed() -> None:
    """A worker that the kernel killed gets a warning, though the container runs on."""
    expected = "Warning: the kernel killed a process in the container because memory ran out (1g)"

    assert f"{PASS_TEXT}\n{expected}" == report_on(FakeContainer(out_of_memory=True))


def test_memory_ran_out_and_the_container_ended() -> None:
    """A container that the kernel killed fails, and nothing more is sent to it."""
    ended = State(running=False, exit_code=137, out_of_memory=True)

    expected = """\
train:1.0 failed its smoke test (sha256:5f5f5f5f5f5f, inside the container, because the engine is on another machine).
Warning: the kernel killed a process in the container because memory ran out (1g)
Not run: swagger.json, malformed body
Look inside: invoke image.shell

Failed: start-up
    the container exited with code 137
    GET / did not answer 200

The container's log:
    a line of the log"""
    assert expected == report_on(FakeContainer(printed=(), current=ended))


def test_no_python_inside() -> None:
    """A missing Python in the image is an error, not a failed start of the image."""
    with pytest.raises(EngineError) as caught:
        report_on(FakeContainer(printed=()))

    expected = """\
The image has no Python to send the requests from inside the container, because the engine is on another machine.
    Run the smoke test where the engine runs."""
    assert expected == str(caught.value)


EVENTS = tuple(json.loads(line) for line in PASSED)
PLACE_OF_RUN = "in the cloud, by run ca8"


def remote_report(end: ContainerEnd, *events: dict[str, Any]) -> str:
    """Return the text of the report on a probe that ran somewhere else."""
    report = make_report(
        plan(smoke_test=LIMITED), IMAGE, events, end, place=PLACE_OF_RUN, look_inside="docker run it"
    )
    return report_text(report)


@pytest.mark.parametrize(
    ("end", "warnings"),
    [
        (ContainerEnd(peak_memory=129 * 2**20, stop_seconds=0.1, log=LogExcerpt("a line", 1)), ""),
        (ContainerEnd(peak_memory=129 * 2**20, stop_seconds=9.9), ""),
        (
            ContainerEnd(peak_memory=129 * 2**20, stop_seconds=10.0),
            ("\nWarning: the container took 10.0 s to stop: its base does not stop its services on request"),
        ),
        (
            ContainerEnd(peak_memory=129 * 2**20, out_of_memory=True),
            "\nWarning: the kernel killed a process in the container because memory ran out (1g)",
        ),
    ],
    ids=["well", "quick enough", "slow stop", "memory"],
)
def test_a_probe_that_ran_elsewhere(end: ContainerEnd, warnings: str) -> None:
    """The report is the same as for a container here, except for the place."""
    place = "inside the container, because the engine is on another machine"

    assert PASS_TEXT.replace(place, PLACE_OF_RUN) + warnings == remote_report(end, *EVENTS)


def test_a_container_that_nothing_is_known_of() -> None:
    """If nothing is known of the container, the answers count, and the report has no figures for the rest."""
    expected = f"""\
train:1.0 passed its smoke test (sha256:5f5f5f5f5f5f, {PLACE_OF_RUN}): only start-up was proven (no request).
    ready after 1.5 s"""
    assert expected == remote_report(ContainerEnd(), *EVENTS)


def test_a_container_that_exited() -> None:
    """The report on a container that exited has its exit code, its log and how to look inside."""
    end = ContainerEnd(exit_code=1, log=LogExcerpt("ImportError: no", 1))
    expected = f"""\
train:1.0 failed its smoke test (sha256:5f5f5f5f5f5f, {PLACE_OF_RUN}).
Not run: swagger.json, malformed body
Look inside: docker run it

Failed: start-up
    the container exited with code 1
    GET / did not answer 200
    last try: connection refused

The container's log:
    ImportError: no"""
    waiting = {"event": "waiting", "seconds": 0.1, "last": "connection refused"}
    assert expected == remote_report(end, waiting, {"event": "exited", "seconds": 2.0})


def test_dry() -> None:
    """Under --dry there is no container, and nothing to report."""
    engine = cast("Runner", FakeEngine(container=None))

    assert smoke_test(plan(), IMAGE, engine, Console(dry=True)) is None


def test_the_log_is_kept_after_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the container has printed is handed on, and the interrupt goes on, also if there is no log."""
    kept: list[str] = []

    def interrupted(*_: object) -> State:
        raise KeyboardInterrupt

    def silent(*_: object) -> LogExcerpt:
        raise EngineError("The engine does not answer.")

    engine = cast("Runner", FakeEngine(container=FakeContainer()))
    monkeypatch.setattr(FakeContainer, "state", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            smoke_test(plan(smoke_test=LIMITED), IMAGE, engine, Console(), kept.append)
        monkeypatch.setattr(FakeContainer, "log", silent)

    assert ["a line of the log"] == kept
