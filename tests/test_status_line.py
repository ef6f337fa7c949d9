"""The one line of a terminal that changes, and what follows a success there; neither is in a pipe."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from azureml_tasks.cli import status_line
from azureml_tasks.cli.console import Console
from azureml_tasks.cli.tasks import TASKS
from azureml_tasks.commands import pipeline
from azureml_tasks.commands.results import BuildResult, PushResult, ReleaseResult, SmokeTestResult
from azureml_tasks.smoke.run import _Progress
from tests.task_options import resolved

CLEAR = "\r\x1b[K"
REFUSED = {"event": "waiting", "seconds": 0.0, "last": "connection refused"}
BAD_GATEWAY = {"event": "waiting", "seconds": 0.1, "last": "502 Bad Gateway"}
BUILT = BuildResult(status="built", id="sha256:1", names=("a:1",), engine="docker")
TESTED = SmokeTestResult(status="passed", id=BUILT.id, names=BUILT.names, report=None)
MOUNTED = replace(TESTED, delivery="mount")
PUSHED = PushResult(
    status="pushed", image="r.io/a@sha256:2", digest="sha256:2", tags=("1",), repository="r.io/a", id=BUILT.id
)
RELEASED = ReleaseResult(build=BUILT, smoke_test=TESTED, push=PUSHED)
READY = {"event": "ready", "seconds": 0.54, "tries": 3}


def in_terminal(monkeypatch: pytest.MonkeyPatch, kind: str = "xterm") -> None:
    """Let stderr be a terminal of 40 columns."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")


def poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the events of a start-up, at 3.0 s of the clock each."""
    monkeypatch.setattr("azureml_tasks.smoke.run.time.monotonic", lambda: 3.0)
    progress = _Progress(reporter=Console(), began=0.0)
    for event in (REFUSED, BAD_GATEWAY):
        progress.take(event)
    progress.show()
    progress.take(READY)
    progress.show()


def test_health_polls_are_one_line_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how long the server is not ready and why, and goes before the line that says when it is."""
    in_terminal(monkeypatch)

    poll(monkeypatch)

    reasons = ("connection refused", "502 Bad Gateway", "502 Bad Gateway")
    polls = "".join(f"{CLEAR}  3.0 s: {reason}" for reason in reasons)
    assert f"{polls}{CLEAR}  0.5 s: ready\n" == capsys.readouterr().err


def test_health_polls_are_silent_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log has the line that says when the server was ready, and no row of what came before."""
    poll(monkeypatch)

    assert "  0.5 s: ready\n" == capsys.readouterr().err


def test_a_dumb_terminal_has_no_such_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would show the codes."""
    in_terminal(monkeypatch, "dumb")

    Console().update("waiting")

    assert (False, "") == (status_line.exists(), capsys.readouterr().err)


def test_the_line_is_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A longer one would not be overwritten, and what a server says moves no cursor."""
    in_terminal(monkeypatch)

    Console().update(f"{'x' * 50}\n")
    Console().update("\x1b[2Ja")
    Console().update("")

    shown = [f"{'x' * 36}...", "a", ""]
    assert shown == [each[-39:] for each in capsys.readouterr().err.split(CLEAR)[1:]]


def test_what_comes_next(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a command to paste, with the flags of the run."""
    in_terminal(monkeypatch)
    console = Console(task_prefix="invoke serving.", flags={"engine": "--engine acr"})

    console.next_step("invoke image.smoke-test")
    console._replace(dry=True).next_step("invoke image.push")

    assert "next: invoke serving.smoke-test --engine acr\n" == capsys.readouterr().err


def test_what_comes_next_is_not_said_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody reads it there."""
    Console().next_step("invoke image.push")

    assert "" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("task", "results", "expected"),
    [
        (
            "build",
            [replace(BUILT, can_be_served=True)],
            "next: invoke image.smoke-test, or with each change of the code: invoke image.serve\n",
        ),
        ("build", [BUILT], "next: invoke image.smoke-test\n"),
        ("build", [replace(BUILT, can_be_served=True)] * 2, "next: invoke image.smoke-test\n"),
        ("smoke-test", [TESTED], "next: invoke image.push\n"),
        ("smoke-test", [MOUNTED], "next: invoke image.environment --deployment\n"),
        ("push", [PUSHED], "next: invoke image.environment\n"),
        ("push", [], ""),
        ("release", [RELEASED], "next: invoke image.environment\n"),
        ("release", [replace(RELEASED, push=None)], ""),
    ],
)
def test_a_success_ends_with_what_comes_next(
    task: str,
    results: list[Any],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each task names the one that follows it; where nothing was pushed, there is none."""
    in_terminal(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, task.replace("-", "_"), lambda *_, **__: results)

    next(spec for spec in TASKS if spec.name == task).run(resolved())

    assert expected == capsys.readouterr().err
