"""The smoke test with a container that is played: what the engine alone can tell, and where it is asked from."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.errors import EngineError
from azureml_tasks.image_reference import Reference
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.model import SmokeTestPlan
from azureml_tasks.smoke import report
from azureml_tasks.smoke.container import Runner, State
from azureml_tasks.smoke.run import ContainerEnd, make_report, smoke_test

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

IMAGE = BuiltImage(
    id="sha256:" + "5f" * 32, names=("train:1.0",), engine="docker", context_sha256="", user="dockeruser"
)
RUNNING = State(running=True, exit_code=0, out_of_memory=False)
PASSED = (
    '{"event": "ready", "seconds": 1.5, "tries": 3}',
    '{"event": "swagger", "status": 200, "error": null}',
    '{"event": "malformed", "status": 500, "error": null, "healthy": true}',
    '{"event": "done", "seconds": 1.6}',
)


@dataclass(frozen=True, kw_only=True)
class Played:
    """A container on another machine; see `base.Container` for what each operation is."""

    id: str = "c0ffee"
    printed: Sequence[str] = PASSED
    how: State = RUNNING
    stopped_after: float = 0.1
    is_starved: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    def address(self) -> str:
        """Not on this machine."""
        return ""

    def state(self) -> State:
        """As the test says."""
        return self.how

    def log(self) -> str:
        """One line."""
        return "a line of the log"

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Keep them."""
        self.files.update({f"{folder}/{name}": data for name, data in files.items()})

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        """What the prober prints."""
        del argv
        return iter(self.printed)

    def starved(self) -> bool:
        """As the test says."""
        return self.is_starved

    def peak_memory(self) -> int | None:
        """Some."""
        return 129 * 2**20

    def stop(self) -> float:
        """As the test says."""
        return self.stopped_after


@dataclass(frozen=True, kw_only=True)
class PlayedEngine:
    """An engine that runs one container."""

    container: Played | None

    @contextmanager
    def running(
        self, image: BuiltImage, smoke_test: SmokeTestPlan, repository: str
    ) -> Iterator[Played | None]:
        """Give the container."""
        del image, smoke_test, repository
        yield self.container


def plan(**more: Any) -> Plan:
    """A plan with code."""
    given = {"has_code": True, "smoke_test": SmokeTestPlan(memory="1g"), **more}
    return Plan(
        base=Reference(host="", repository="base", tag="1", digest=""),
        platform="linux/amd64",
        user="dockeruser",
        registry="",
        repository="train",
        tags=("1.0",),
        apt=(),
        python=None,
        runs=(),
        has_model=False,
        env={},
        labels={},
        files=(),
        **given,
    )


def told(container: Played, image: BuiltImage = IMAGE, **more: Any) -> str:
    """The report on a container."""
    engine = cast("Runner", PlayedEngine(container=container))
    found = smoke_test(plan(**more), image, engine, Console())
    assert found is not None
    return report.text(found)


SERVES = """\
train:1.0 serves: it passed its smoke test (sha256:5f5f5f5f5f5f, PLACE).
    ready after 1.5 s
    peak memory 129 MiB""".replace("PLACE", "inside the container, since the engine is on another machine")


def test_pass() -> None:
    """On another machine the prober runs inside, from a file that is put there, and the report says so."""
    container = Played()
    found = told(container)

    assert found == SERVES
    assert sorted(name.rpartition("/")[2] for name in container.files) == ["job.json", "probe.py"]


@pytest.mark.parametrize("user", ["", "0", "root"])
def test_root(user: str) -> None:
    """An image that runs as root passes with a warning."""
    image = BuiltImage(id=IMAGE.id, names=IMAGE.names, engine="docker", context_sha256="", user=user)

    assert f"{SERVES}\nWarning: the image runs as root" == told(Played(), image)


def test_slow_stop() -> None:
    """A container that does not end when it is asked to is warned of, with how long it took."""
    expected = (
        "Warning: the container took 10.2 s to stop: its base does not end its services when it is asked to"
    )

    assert f"{SERVES}\n{expected}" == told(Played(stopped_after=10.2))


def test_no_code() -> None:
    """Where no code is baked in, it is said that an entry script of ours was served."""
    expected = (
        "the image has no code, so an entry script of ours showed that the server starts with its packages"
    )

    assert f"{SERVES}\nWarning: {expected}" == told(
        Played(), smoke_test=SmokeTestPlan(memory="1g", default_script=True)
    )


def test_memory_ran_out_and_a_worker_was_ended() -> None:
    """A worker that the kernel ended is told of, though the container runs on."""
    expected = "Warning: the kernel ended a process in the container, since memory ran out (1g)"

    assert f"{SERVES}\n{expected}" == told(Played(is_starved=True))


def test_memory_ran_out_and_the_container_ended() -> None:
    """So is a container that ended by it; nothing more is asked of it."""
    ended = State(running=False, exit_code=137, out_of_memory=True)

    expected = """\
train:1.0 failed its smoke test (sha256:5f5f5f5f5f5f, inside the container, since the engine is on another machine).

Failed: start-up
    the container ended with exit code 137
    GET / did not answer 200

Not made: swagger.json, malformed body

The container's log:
    a line of the log

Warning: the kernel ended a process in the container, since memory ran out (1g)

Look inside: docker run --rm -it --entrypoint bash 5f5f5f5f5f5f"""
    assert expected == told(Played(printed=(), how=ended))


def test_no_python_inside() -> None:
    """Where nothing inside can ask, that is an error of its own, and not one of the image's start."""
    with pytest.raises(EngineError) as caught:
        told(Played(printed=()))

    expected = """\
The image has no Python that could ask from inside the container, since the engine is on another machine.
    Run the smoke test where the engine runs."""
    assert expected == str(caught.value)


# Judged from afar

SEEN = tuple(json.loads(line) for line in PASSED)
FROM = "in the cloud, by run ca8"


def judged(end: ContainerEnd, *events: dict[str, Any], **more: Any) -> str:
    """The report on what a prober saw somewhere else."""
    found = make_report(plan(**more), IMAGE, events, end, place=FROM, look_inside="docker run it")
    return report.text(found)


@pytest.mark.parametrize(
    ("end", "warnings"),
    [
        (ContainerEnd(peak_memory=129 * 2**20, stop=0.1, log="a line"), ""),
        (ContainerEnd(peak_memory=129 * 2**20, stop=4.9), ""),
        (
            ContainerEnd(peak_memory=129 * 2**20, stop=5.0),
            (
                "\nWarning: the container took 5.0 s to stop: "
                "its base does not end its services when it is asked to"
            ),
        ),
        (
            ContainerEnd(peak_memory=129 * 2**20, starved=True),
            "\nWarning: the kernel ended a process in the container, since memory ran out (1g)",
        ),
    ],
    ids=["well", "quick enough", "slow stop", "memory"],
)
def test_what_was_seen_elsewhere(end: ContainerEnd, warnings: str) -> None:
    """Events and an end are judged as those of a container here are, with the place where they were seen."""
    place = "inside the container, since the engine is on another machine"

    assert SERVES.replace(place, FROM) + warnings == judged(end, *SEEN)


def test_an_end_that_nothing_is_known_of() -> None:
    """Where nobody could look at the container, what it answered counts, and no figure is made up."""
    expected = f"""\
train:1.0 serves: it passed its smoke test (sha256:5f5f5f5f5f5f, {FROM}).
    ready after 1.5 s"""
    assert expected == judged(ContainerEnd(), *SEEN)


def test_an_end_before_its_time() -> None:
    """A container that ended is told with its code, its log and how to look inside."""
    end = ContainerEnd(exited=1, log="ImportError: no")
    expected = f"""\
train:1.0 failed its smoke test (sha256:5f5f5f5f5f5f, {FROM}).

Failed: start-up
    the container ended with exit code 1
    GET / did not answer 200
    the last try: connection refused

Not made: swagger.json, malformed body

The container's log:
    ImportError: no

Look inside: docker run it"""
    waiting = {"event": "waiting", "seconds": 0.1, "last": "connection refused"}
    assert expected == judged(end, waiting, {"event": "exited", "seconds": 2.0})


def test_dry() -> None:
    """Under --dry there is no container, and nothing to report."""
    engine = cast("Runner", PlayedEngine(container=None))

    assert smoke_test(plan(), IMAGE, engine, Console(dry=True)) is None
