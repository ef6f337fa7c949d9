"""A run from its place in the queue to its end, with Azure, its storage and the clock played."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceRequestError

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.acr.cloud_smoke_test import Collector
from azureml_tasks.engines.acr.remote_build import RemoteBuild
from azureml_tasks.engines.acr.run_follower import Followed, Follower
from azureml_tasks.engines.acr.session import Session
from azureml_tasks.engines.acr.tasks_api import Run
from azureml_tasks.errors import AzuremlTasksError, RegistryError, RemoteBuildError, Terminated
from azureml_tasks.in_image.probe_in_acr import frames
from tests.acr_following import ADDRESS, Clock, PlayedTasks, the_log
from tests.acr_plans import plan

QUEUED, RUNNING = Run(id="ca8", status="Queued"), Run(id="ca8", status="Running")
SUCCEEDED, CANCELLED = Run(id="ca8", status="Succeeded"), Run(id="ca8", status="Canceled")
SILENT = RemoteBuildError("Azure did not answer how run ca8 is.")
FORBIDDEN = RegistryError("Azure refused how run ca8 is: not allowed (403).")
MARK = "azureml-image-smoke-test-5f5f5f5f5f5f5f5f"


def follower(tasks: PlayedTasks, clock: Clock, *, timeout: float = 100.0, buildkit: bool = False) -> Follower:
    """A follower of what is played."""
    return Follower(
        tasks=tasks.as_tasks(),
        reporter=Console(),
        timeout=timeout,
        buildkit=buildkit,
        clock=clock,
        sleep=clock.sleep,
    )


def followed(
    tasks: PlayedTasks, clock: Clock | None = None, *, run: Run = QUEUED, **more: Any
) -> tuple[Run, Followed]:
    """Follow *run* to its end."""
    return follower(tasks, clock or Clock(), **more).follow(run, Collector(mark=MARK))


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr; nothing is on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


# To its end


def test_a_run_is_shown_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line is shown as it comes, once and whole, also where a look finds half of one, or half a letter."""
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
    opened = the_log(monkeypatch, *looks)
    tasks = PlayedTasks(QUEUED, *[RUNNING] * 5, SUCCEEDED)

    now, seen = followed(tasks)

    lines = ["Step 1/1 : FROM base:1", "é模", "the end"]
    assert (SUCCEEDED, lines, lines, True) == (now, said(capsys), list(seen.tail), seen.complete)
    assert ([ADDRESS] * 7, ["get ca8", "log of ca8", *["get ca8"] * 6]) == (opened, tasks.asked)


def test_a_run_that_has_ended_already(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run that has ended long ago the log is shown, and nothing is waited for."""
    the_log(monkeypatch, b"all of it\n")
    clock, tasks = Clock(), PlayedTasks(SUCCEEDED)

    now, seen = followed(tasks, clock, run=SUCCEEDED)

    assert (SUCCEEDED, ["all of it"], True) == (now, said(capsys), seen.complete)
    assert ([], ["log of ca8"]) == (clock.pauses, tasks.asked)


def test_lines_of_the_smoke_test_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the smoke test prints for us is collected, and is neither shown nor among the last lines."""
    event = {"event": "done", "seconds": 1.5}
    the_log(monkeypatch, "\n".join(["before", *frames(MARK, 0, event), "after", ""]).encode())
    collector = Collector(mark=MARK)

    _, seen = follower(PlayedTasks(SUCCEEDED), Clock()).follow(RUNNING, collector)

    assert (["before", "after"], ["before", "after"]) == (said(capsys), list(seen.tail))
    assert [event] == collector.events()


def test_the_last_lines_are_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All lines are shown; of a long log its last forty stay for an error."""
    lines = [f"line {number}" for number in range(100)]
    the_log(monkeypatch, "\n".join(lines).encode())

    _, seen = followed(PlayedTasks(SUCCEEDED))

    assert (lines, lines[-40:]) == (said(capsys), list(seen.tail))


def test_it_looks_seldom_where_nothing_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses grow while nothing is new, and are short again once there is."""
    the_log(monkeypatch, *[b""] * 7, b"a\n", b"a\n", b"a\nb\n")
    tasks, clock = PlayedTasks(*[RUNNING] * 10, SUCCEEDED), Clock()

    followed(tasks, clock, run=RUNNING)

    assert [1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0] == clock.pauses


# The queue


def test_a_run_that_stays_in_the_queue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that no agent takes in time is cancelled, and that is an error which says what helps."""
    the_log(monkeypatch)
    clock, tasks = Clock(), PlayedTasks(*[QUEUED] * 24, CANCELLED)

    with pytest.raises(RemoteBuildError) as caught:
        followed(tasks, clock, timeout=90.0)

    expected = """\
Run ca8 stayed in the queue for 90 s and was cancelled.
    Run the same command again later, or give it longer: timeout = 7200 in [tool.azureml-image.acr]
    or name a pool of your own: agent-pool = "…\""""
    assert expected == str(caught.value)
    assert ["cancelling run ca8", "run ca8 ended as Canceled"] == said(capsys)
    assert 1 == tasks.asked.count("cancel ca8")
    assert 90 < clock.now < 100


def test_a_run_that_works_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in the queue alone is bounded here; how long a run may work is Azure's to watch."""
    the_log(monkeypatch, b"")
    clock, tasks = Clock(), PlayedTasks(*[QUEUED] * 10, *[RUNNING] * 100, SUCCEEDED)

    now, _ = followed(tasks, clock, timeout=90.0)

    assert (SUCCEEDED, 0) == (now, tasks.asked.count("cancel ca8"))
    assert clock.now > 400


# Azure does not answer


def test_a_silence_is_waited_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The run goes on without us: a silence of up to five minutes is waited out, as often as there is one."""
    the_log(monkeypatch, b"")
    clock = Clock()
    tasks = PlayedTasks(RUNNING, *[SILENT] * 55, RUNNING, *[SILENT] * 55, SUCCEEDED)

    now, _ = followed(tasks, clock, run=RUNNING)

    line = "Azure did not answer how run ca8 is. The run goes on, and is asked for again."
    assert (SUCCEEDED, [line] * 110) == (now, said(capsys))
    assert clock.now > 500


@pytest.mark.parametrize(("error", "least", "most"), [(SILENT, 300, 310), (FORBIDDEN, 0, 10)])
def test_the_end_of_patience(
    error: AzuremlTasksError,
    least: float,
    most: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A silence of more than five minutes ends our wait, a refusal at once; the run goes on, and is not cancelled."""
    monkeypatch.setattr(error, "state", "")
    the_log(monkeypatch, b"")
    clock, tasks = Clock(), PlayedTasks(RUNNING, error)

    with pytest.raises(type(error)) as caught:
        followed(tasks, clock, run=RUNNING)

    state = "Run ca8 goes on in ACR. Take it up again with: invoke image.resume ca8 --engine acr"
    assert f"{error.what}\n{state}" == str(caught.value)
    assert (0, True) == (tasks.asked.count("cancel ca8"), least <= clock.now <= most)
    assert all("The run goes on" in line for line in said(capsys))


# The log


def test_a_log_that_cannot_be_read_just_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of storage is said once, with another address the log is read on where it was, and nothing is lost."""
    fault = HttpResponseError("AuthenticationFailed: signature expired\nRequestId: 1")
    opened = the_log(monkeypatch, b"one\n", fault, fault, b"one\ntwo\n")
    tasks = PlayedTasks(*[RUNNING] * 3, SUCCEEDED)

    _, seen = followed(tasks, run=RUNNING)

    fault_said = (
        "the log cannot be read just now, and is asked for again: AuthenticationFailed: signature expired"
    )
    assert (["one", fault_said, "two"], True) == (said(capsys), seen.complete)
    assert (4, 3) == (len(opened), tasks.asked.count("log of ca8"))


def test_another_fault_is_said_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each new reason is said, and not each time, also where the log could be read in between."""
    first, second = ServiceRequestError("No route to host"), ServiceRequestError("Connection reset")
    the_log(monkeypatch, first, first, b"", first, second, second, b"")

    followed(PlayedTasks(*[RUNNING] * 6, SUCCEEDED), run=RUNNING)

    common = "the log cannot be read just now, and is asked for again: "
    assert [f"{common}No route to host", f"{common}Connection reset"] == said(capsys)


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
    """The last lines may come after the end of the run, and get a minute; the verdict does not depend on them."""
    the_log(monkeypatch, b"one\n", *[b"one\n"] * late, b"one\ntwo")
    clock = Clock()

    now, seen = followed(PlayedTasks(RUNNING, SUCCEEDED), clock, run=RUNNING)

    warning = "warning: the log of run ca8 could not be read to its end; its status is what counts"
    assert (SUCCEEDED, complete) == (now, seen.complete)
    assert ["one", "two" if complete else warning] == said(capsys)
    assert 1.0 + waited == clock.now


@pytest.mark.parametrize("key", ["Complete", "complete", "COMPLETE"])
def test_a_log_is_complete_when_its_metadata_says_so(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata are headers, which have no case."""
    the_log(monkeypatch, b"", end={"other": "x", key: "succeeded"})

    assert followed(PlayedTasks(SUCCEEDED))[1].complete


def test_a_log_that_was_never_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Azure names no log, the run's status still tells how it ended."""
    opened = the_log(monkeypatch, b"")

    now, seen = followed(PlayedTasks(CANCELLED, address=""))

    assert (CANCELLED, False, []) == (now, seen.complete, opened)
    assert ["warning: the log of run ca8 could not be read to its end; its status is what counts"] == said(
        capsys
    )


# Its end before its time


@pytest.mark.parametrize("signal", [KeyboardInterrupt(), Terminated(15)])
@pytest.mark.parametrize("refused", [None, RemoteBuildError("Azure refused the end of run ca8.")])
def test_ctrl_c_cancels(
    signal: BaseException,
    refused: Exception | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C and SIGTERM end the run first, and its end is waited for, whatever Azure says of the wish."""
    the_log(monkeypatch, b"")
    tasks = PlayedTasks(signal, CANCELLED, cancel=refused)
    session = cast("Session", SimpleNamespace(tasks=tasks))
    hand_off = RemoteBuild(session=session, plan=plan(), reporter=Console())

    with pytest.raises(type(signal)), hand_off.stopping():
        hand_off.follow(RUNNING, Collector())

    assert ["get ca8", "cancel ca8", "get ca8"] == tasks.asked
    assert ["cancelling run ca8", "run ca8 ended as Canceled"] == said(capsys)


def test_another_error_cancels_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Azure refuses to tell how a run is, the run goes on: whoever may ask can take it up again."""
    monkeypatch.setattr(FORBIDDEN, "state", "")
    the_log(monkeypatch, b"")
    tasks = PlayedTasks(FORBIDDEN)
    session = cast("Session", SimpleNamespace(tasks=tasks))
    hand_off = RemoteBuild(session=session, plan=plan(), reporter=Console())

    with pytest.raises(RegistryError), hand_off.stopping():
        hand_off.follow(RUNNING, Collector())

    assert (["get ca8"], []) == (tasks.asked, said(capsys))


@pytest.mark.parametrize(
    ("answers", "now", "seconds", "words"),
    [
        ([SUCCEEDED], SUCCEEDED, 0, "run ca8 ended as Succeeded"),
        ([RUNNING, RUNNING, CANCELLED], CANCELLED, 2, "run ca8 ended as Canceled"),
        (
            [SILENT, CANCELLED],
            CANCELLED,
            1,
            "Azure did not answer how run ca8 is.\nrun ca8 ended as Canceled",
        ),
        ([RUNNING], RUNNING, 120, "run ca8 was asked to end, and has not yet"),
    ],
    ids=["it was quicker", "it took a while", "a silence", "it takes for ever"],
)
def test_a_cancel_waits(
    answers: list[Run | BaseException],
    now: Run,
    seconds: float,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A cancel waits for the end for two minutes at most, and says how the run ended, or that it did not."""
    clock, tasks = Clock(), PlayedTasks(*answers)

    assert now == follower(tasks, clock).cancel(RUNNING)
    assert (seconds, ["cancelling run ca8", *words.splitlines()]) == (clock.now, said(capsys))


def test_a_run_that_has_ended_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run that is known to have ended nothing more is asked."""
    clock, tasks = Clock(), PlayedTasks(SUCCEEDED)

    assert SUCCEEDED == follower(tasks, clock).cancel(SUCCEEDED)
    assert (0.0, ["cancel ca8"]) == (clock.now, tasks.asked)
    assert ["cancelling run ca8", "run ca8 ended as Succeeded"] == said(capsys)
