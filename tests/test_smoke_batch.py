"""The smoke test of a batch deployment's script: its report, by what the driver in the image prints."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.in_image.probe_in_acr import frames
from azureml_tasks.project.model import SmokeTestFile, SmokeTestPlan
from azureml_tasks.project.own_dockerfile import OwnDockerfile
from azureml_tasks.smoke.batch import batch_command, batch_files, batch_mounts
from azureml_tasks.smoke.container_protocol import Runner, State
from azureml_tasks.smoke.event_lines import event_marker
from azureml_tasks.smoke.log_excerpt import LogExcerpt
from azureml_tasks.smoke.report import report_text
from azureml_tasks.smoke.run import smoke_test
from tests.plans import plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IMAGE = BuiltImage(
    id="sha256:" + "5f" * 32, names=("train:1.0",), engine="docker", context_sha256="", user=""
)
FILES = tuple(SmokeTestFile(name, f"/project/{name}", b"1") for name in ("data/a b.csv", "data/c.csv"))
BATCH = SmokeTestPlan(mini_batch=FILES, memory="1g", sha256="5f" * 32)
INIT = {"event": "batch-init", "seconds": 1.25, "error": None}
RUN = {"event": "batch-run", "seconds": 0.5, "error": None, "kind": "DataFrame", "items": 1}
END = {
    "event": "container", "running": False, "exit_code": 0, "out_of_memory": False, "peak_memory": 2**20,
    "stop": None, "core": True, "log": "loaded\n",
}  # fmt: skip


class FakeContainer:
    """A container that has printed these events between other lines."""

    def __init__(self, events: Sequence[dict[str, Any]]) -> None:
        self.events = events

    def printed(self, timeout: float) -> Iterator[str]:
        """Yield the lines; the driver itself ends a script that takes too long."""
        assert timeout > BATCH.start_timeout + BATCH.mini_batch_timeout
        for number, event in enumerate(self.events):
            yield from ("loaded", *frames(event_marker(BATCH), number, event))

    def state(self) -> State:
        """It has ended: no Python was there."""
        return State(running=False, exit_code=127, out_of_memory=False)

    def log(self, timeout: float = 0) -> LogExcerpt:
        """Return what the shell said."""
        del timeout
        return LogExcerpt("/bin/sh: 1: exec: /usr/bin/python: not found", 1)


def report_on(*events: dict[str, Any], own: OwnDockerfile | None = None) -> str:
    """Return the text of the report on a container that printed these events."""

    class Engine:
        @contextmanager
        def running(self, *_: object) -> Iterator[FakeContainer]:
            yield FakeContainer(events)

    report = smoke_test(
        plan(smoke_test=BATCH, own_dockerfile=own), IMAGE, cast("Runner", Engine()), Console()
    )
    assert report is not None
    assert report.proven == "mini-batch"
    return report_text(report)


def test_a_pass() -> None:
    """It says what came back for how many files; no server was asked."""
    expected = """\
train:1.0 passed its smoke test (sha256:5f5f5f5f5f5f, called in the image, as by a batch deployment).
    init(): in 1.2 s, with the import of the script
    run() with 2 files: a DataFrame of 1 item in 0.5 s
    peak memory 1 MiB
Warning: the image runs as root"""
    assert expected == report_on(INIT, RUN, END)


def test_a_failure() -> None:
    """The container's end and its log explain it, with the traceback of the script."""
    log = 'Traceback (most recent call last):\n  File "/var/azureml-app/score.py", line 2, in run\nKilled'
    error = {**RUN, "error": "the process ended during run()"}
    expected = """\
train:1.0 failed its smoke test (sha256:5f5f5f5f5f5f, called in the image, as by a batch deployment).
    init(): in 1.2 s, with the import of the script
    peak memory 1 MiB
Warning: a batch deployment also needs azureml-core in the image: pip = ["azureml-core"]
Warning: the image runs as root
Warning: the kernel killed a process in the container because memory ran out (1g)
Look inside: invoke image.shell

Failed: run() with 2 files
    the process ended during run()

In the container's log:
    Traceback (most recent call last):
      File "/var/azureml-app/score.py", line 2, in run
    Killed"""
    end = {**END, "exit_code": 137, "out_of_memory": True, "core": False, "log": log}
    assert expected == report_on(INIT, error, end)


def test_who_installs_what_a_batch_deployment_needs() -> None:
    """The table, or the project's own Dockerfile, beside which the table installs nothing."""
    end = {**END, "core": False}
    ways = ('pip = ["azureml-core"]', "let docker/Dockerfile install it")
    reports = (
        report_on(INIT, RUN, end, own=own) for own in (None, OwnDockerfile("a", "docker/Dockerfile", ""))
    )

    for way, report in zip(ways, reports, strict=True):
        assert f"\nWarning: a batch deployment also needs azureml-core in the image: {way}\n" in report


def test_an_image_without_a_python() -> None:
    """Nothing was called, and the log says why."""
    expected = """\
train:1.0 failed its smoke test (sha256:5f5f5f5f5f5f, called in the image, as by a batch deployment).
Warning: the image runs as root
Not run: run() with 2 files
Look inside: invoke image.shell

Failed: init()
    the container ended with code 127 before the script was called: the image needs a Python

The container's log:
    /bin/sh: 1: exec: /usr/bin/python: not found"""
    assert expected == report_on()


def test_what_is_in_the_container() -> None:
    """The files keep their paths, so that two of the same name are no problem; the shell command quotes them."""
    assert {"batch_driver.py", "probe_in_acr.py", "data/data/a b.csv", "data/data/c.csv"} == set(
        batch_files(BATCH)
    )
    assert "/project/data/a b.csv" == batch_mounts(BATCH, "/tmp/b")["/tmp/b/data/data/a b.csv"]  # noqa: S108 -- a name
    assert batch_command(BATCH, "/b").endswith(" 310 30 '/b/data/data/a b.csv' /b/data/data/c.csv")
