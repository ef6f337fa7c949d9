"""Follow a run, with fakes of Azure, Azure Storage and the clock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceRequestError

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.acr.run_follower import RunFollower
from azureml_tasks.engines.acr.run_log import RunLog
from azureml_tasks.engines.acr.session import Session
from azureml_tasks.engines.acr.task_runs import TaskRuns
from azureml_tasks.engines.acr.tasks_api import Run
from azureml_tasks.errors import AzuremlTasksError, RegistryError, RemoteBuildError, Terminated
from azureml_tasks.in_image.probe_in_acr import frames
from azureml_tasks.smoke.event_lines import EventCollector
from tests.acr_fakes import URL, FakeClock, FakeTasks, fake_log
from tests.acr_plans import plan

QUEUED, RUNNING = Run(id="ca8", status="Queued"), Run(id="ca8", status="Running")
SUCCEEDED, CANCELLED = Run(id="ca8", status="Succeeded"), Run(id="ca8", status="Canceled")
OUTAGE = RemoteBuildError("Azure did not answer the request to give the status of run ca8.")
FORBIDDEN = RegistryError("Azure refused to give the status of run ca8: not permitted (403).")
MARK = "azureml-image-smoke-test-5f5f5f5f5f5f5f5f"


def follower(tasks: FakeTasks, clock: FakeClock, *, timeout: float = 100.0) -> RunFollower:
    """Return a follower of the fakes."""
    return RunFollower(
        tasks=tasks.as_tasks(),
        reporter=Console(),
        timeout=timeout,
        clock=clock,
        sleep=clock.sleep,
    )


def followed(
    tasks: FakeTasks, clock: FakeClock | None = None, *, run: Run = QUEUED, **more: Any
) -> tuple[Run, RunLog]:
    """Follow *run* until it ends."""
    return follower(tasks, clock or FakeClock(), **more).follow(run, EventCollector(marker=MARK))


def stderr(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines on stderr, after checking that stdout is empty."""
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


# Until the end


def test_the_log_is_shown_until_the_run_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line is shown once and whole, even if a read ends within a line or a character."""
    whole = "Step 1/1 : FROM base:1\r\n\x1b[31mé\x1b[0m模\nthe end"
    content = whole.encode()
    looks: list[bytes | Exception] = [
        ResourceNotFoundError("BlobNotFound"),
        content[:9],
        content[:32],
        content[:36],
        content[:36],
        content,
    ]
    opened = fake_log(monkeypatch, *looks)
    tasks = FakeTasks(QUEUED, *[RUNNING] * 5, SUCCEEDED)

    run, log = followed(tasks)

    lines = ["Step 1/1 : FROM base:1", "é模", "the end"]
    assert (SUCCEEDED, lines, lines, True) == (run, stderr(capsys), list(log.tail), log.complete)
    assert ([URL] * 7, ["get ca8", "log_url ca8", *["get ca8"] * 6]) == (opened, tasks.calls)


def test_a_run_that_has_already_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of a run that has already ended is shown without waiting."""
    fake_log(monkeypatch, b"all of it\n")
    clock, tasks = FakeClock(), FakeTasks(SUCCEEDED)

    run, log = followed(tasks, clock, run=SUCCEEDED)

    assert (SUCCEEDED, ["all of it"], True) == (run, stderr(capsys), log.complete)
    assert ([], ["log_url ca8"]) == (clock.pauses, tasks.calls)


def test_a_line_without_an_end_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step may print 20 MB without a line break, of which the beginning is shown, and what follows as well."""
    fake_log(monkeypatch, b"x" * 20_000_000 + b"\nthe end\n")

    followed(FakeTasks(SUCCEEDED), FakeClock(), run=SUCCEEDED)

    shown = stderr(capsys)
    assert ("the end", True, True) == (shown[-1], set(map(len, shown[:-2])) == {64 * 1024}, len(shown) < 10)


def test_lines_of_the_smoke_test_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the smoke test prints for us is collected, and is neither shown nor among the last lines."""
    event = {"event": "done", "seconds": 1.5}
    fake_log(monkeypatch, "\n".join(["before", *frames(MARK, 0, event), "after", ""]).encode())
    collector = EventCollector(marker=MARK)

    _, log = follower(FakeTasks(SUCCEEDED), FakeClock()).follow(RUNNING, collector)

    assert (["before", "after"], ["before", "after"]) == (stderr(capsys), list(log.tail))
    assert [event] == collector.events()


def test_the_last_lines_are_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All lines are shown, and the last forty are kept for an error."""
    lines = [f"line {number}" for number in range(100)]
    fake_log(monkeypatch, "\n".join(lines).encode())

    _, log = followed(FakeTasks(SUCCEEDED))

    assert (lines, lines[-40:]) == (stderr(capsys), list(log.tail))


def test_polling_slows_down_while_nothing_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval grows while nothing is new, and is short again after a change."""
    fake_log(monkeypatch, *[b""] * 7, b"a\n", b"a\n", b"a\nb\n")
    tasks, clock = FakeTasks(*[RUNNING] * 10, SUCCEEDED), FakeClock()

    followed(tasks, clock, run=RUNNING)

    assert [1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0] == clock.pauses


# The queue


def test_a_run_that_stays_in_the_queue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that stays queued longer than the timeout is cancelled, which is an error."""
    fake_log(monkeypatch)
    clock, tasks = FakeClock(), FakeTasks(*[QUEUED] * 24, CANCELLED)

    with pytest.raises(RemoteBuildError) as caught:
        followed(tasks, clock, timeout=90.0)

    expected = """\
Run ca8 stayed in the queue for 90 s and was cancelled.
    Run the same command again later, or increase timeout in [tool.azureml-image.acr]
    or use a dedicated agent pool: agent-pool = "…" in [tool.azureml-image.acr]"""
    assert expected == str(caught.value)
    assert ["cancelling run ca8", "run ca8 ended: Canceled"] == stderr(capsys)
    assert 1 == tasks.calls.count("cancel ca8")
    assert 90 < clock.now < 100


def test_a_run_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the time in the queue is limited here; Azure limits how long a run may take."""
    fake_log(monkeypatch, b"")
    clock, tasks = FakeClock(), FakeTasks(*[QUEUED] * 10, *[RUNNING] * 100, SUCCEEDED)

    run, _ = followed(tasks, clock, timeout=90.0)

    assert (SUCCEEDED, 0) == (run, tasks.calls.count("cancel ca8"))
    assert clock.now > 400


# Outages


def test_short_outages_are_waited_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run continues during an outage; each outage of up to five minutes is waited out."""
    fake_log(monkeypatch, b"")
    clock = FakeClock()
    tasks = FakeTasks(RUNNING, *[OUTAGE] * 55, RUNNING, *[OUTAGE] * 55, SUCCEEDED)

    run, _ = followed(tasks, clock, run=RUNNING)

    line = "Azure did not answer the request to give the status of run ca8. The run continues; retrying."
    assert (SUCCEEDED, [line] * 110) == (run, stderr(capsys))
    assert clock.now > 500


@pytest.mark.parametrize(("error", "least", "most"), [(OUTAGE, 300, 310), (FORBIDDEN, 0, 10)])
def test_a_long_outage_or_a_refusal_ends_the_command(
    error: AzuremlTasksError,
    least: float,
    most: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """More than five minutes without an answer, or a refusal, ends the command; the run is not cancelled."""
    monkeypatch.setattr(error, "state", "")
    fake_log(monkeypatch, b"")
    clock, tasks = FakeClock(), FakeTasks(RUNNING, error)

    with pytest.raises(type(error)) as caught:
        followed(tasks, clock, run=RUNNING)

    state = "Run ca8 continues in ACR. To follow it again: invoke image.resume --run ca8 --engine acr"
    assert f"{error.what}\n{state}" == str(caught.value)
    assert (0, True) == (tasks.calls.count("cancel ca8"), least <= clock.now <= most)
    assert all("The run continues" in line for line in stderr(capsys))


# The log


def test_a_log_that_cannot_be_read_for_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of Azure Storage is shown once; with a new URL, reading continues where it stopped."""
    fault = HttpResponseError("AuthenticationFailed: signature expired\nRequestId: 1")
    opened = fake_log(monkeypatch, b"one\n", fault, fault, b"one\ntwo\n")
    tasks = FakeTasks(*[RUNNING] * 3, SUCCEEDED)

    _, log = followed(tasks, run=RUNNING)

    retrying = "cannot read the log, retrying: AuthenticationFailed: signature expired"
    assert (["one", retrying, "two"], True) == (stderr(capsys), log.complete)
    assert (4, 3) == (len(opened), tasks.calls.count("log_url ca8"))


def test_each_new_error_is_shown_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each new error is shown once, even if the log could be read in between."""
    first, second = ServiceRequestError("No route to host"), ServiceRequestError("Connection reset")
    fake_log(monkeypatch, first, first, b"", first, second, second, b"")

    followed(FakeTasks(*[RUNNING] * 6, SUCCEEDED), run=RUNNING)

    common = "cannot read the log, retrying: "
    assert [f"{common}No route to host", f"{common}Connection reset"] == stderr(capsys)


@pytest.mark.parametrize(
    ("late", "waited", "complete"),
    [(0, 0.0, True), (2, 1.0, True), (60, 59.0, True), (61, 60.0, False)],
    ids=["there", "a little late", "very late", "too late"],
)
def test_the_end_of_a_log(
    late: int,
    waited: float,
    complete: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The last lines may come up to a minute after the run has ended; the result does not depend on them."""
    fake_log(monkeypatch, b"one\n", *[b"one\n"] * late, b"one\ntwo")
    clock = FakeClock()

    run, log = followed(FakeTasks(RUNNING, SUCCEEDED), clock, run=RUNNING)

    warning = "warning: the end of the log of run ca8 could not be read; the result follows from its status"
    assert (SUCCEEDED, complete) == (run, log.complete)
    assert ["one", "two" if complete else warning] == stderr(capsys)
    assert 1.0 + waited == clock.now


@pytest.mark.parametrize("key", ["Complete", "complete", "COMPLETE"])
def test_a_log_is_complete_when_its_metadata_says_so(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata are HTTP headers, whose case does not matter."""
    fake_log(monkeypatch, b"", end={"other": "x", key: "succeeded"})

    assert followed(FakeTasks(SUCCEEDED))[1].complete


def test_a_run_without_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If Azure names no log, the result still follows from the run's status."""
    opened = fake_log(monkeypatch, b"")

    run, log = followed(FakeTasks(CANCELLED, url=""))

    assert (CANCELLED, False, []) == (run, log.complete, opened)
    assert [
        "warning: the end of the log of run ca8 could not be read; the result follows from its status"
    ] == stderr(capsys)


# Cancelling


@pytest.mark.parametrize("signal", [KeyboardInterrupt(), Terminated(15)])
@pytest.mark.parametrize("refused", [None, RemoteBuildError("Azure refused to cancel run ca8.")])
def test_ctrl_c_cancels(
    signal: BaseException,
    refused: Exception | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C and SIGTERM cancel the run and wait for its end, even if Azure refuses to cancel it."""
    fake_log(monkeypatch, b"")
    tasks = FakeTasks(signal, CANCELLED, cancel=refused)
    session = cast("Session", SimpleNamespace(tasks=tasks))
    task_runs = TaskRuns(session=session, plan=plan(), reporter=Console())

    with pytest.raises(type(signal)), task_runs.cancelled_on_interrupt():
        task_runs.follow(RUNNING, EventCollector())

    assert ["get ca8", "cancel ca8", "get ca8"] == tasks.calls
    assert ["cancelling run ca8", "run ca8 ended: Canceled"] == stderr(capsys)


def test_another_error_cancels_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If Azure refuses to give the status of a run, the run is not cancelled."""
    monkeypatch.setattr(FORBIDDEN, "state", "")
    fake_log(monkeypatch, b"")
    tasks = FakeTasks(FORBIDDEN)
    session = cast("Session", SimpleNamespace(tasks=tasks))
    task_runs = TaskRuns(session=session, plan=plan(), reporter=Console())

    with pytest.raises(RegistryError), task_runs.cancelled_on_interrupt():
        task_runs.follow(RUNNING, EventCollector())

    assert (["get ca8"], []) == (tasks.calls, stderr(capsys))


@pytest.mark.parametrize(
    ("answers", "expected", "seconds", "words"),
    [
        ([SUCCEEDED], SUCCEEDED, 0, "run ca8 ended: Succeeded"),
        ([RUNNING, RUNNING, CANCELLED], CANCELLED, 2, "run ca8 ended: Canceled"),
        (
            [OUTAGE, CANCELLED],
            CANCELLED,
            1,
            "Azure did not answer the request to give the status of run ca8.\nrun ca8 ended: Canceled",
        ),
        ([RUNNING], RUNNING, 120, "run ca8 was cancelled, but has not ended yet"),
    ],
    ids=["ended meanwhile", "takes a while", "outage", "never ends"],
)
def test_a_cancel_waits(
    answers: list[Run | BaseException],
    expected: Run,
    seconds: float,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cancelling waits up to two minutes for the end of the run, and shows its status."""
    clock, tasks = FakeClock(), FakeTasks(*answers)

    assert expected == follower(tasks, clock).cancel(RUNNING)
    assert (seconds, ["cancelling run ca8", *words.splitlines()]) == (clock.now, stderr(capsys))


def test_a_run_that_has_ended_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The status of a run that has already ended is not polled."""
    clock, tasks = FakeClock(), FakeTasks(SUCCEEDED)

    assert SUCCEEDED == follower(tasks, clock).cancel(SUCCEEDED)
    assert (0.0, ["cancel ca8"]) == (clock.now, tasks.calls)
    assert ["cancelling run ca8", "run ca8 ended: Succeeded"] == stderr(capsys)
