"""Ctrl-C and SIGTERM during a remote build."""

from __future__ import annotations

import os
import signal

import pytest

from tests.machine.acr.faults import Hold, Reply
from tests.real.remote_output import ACR, SECONDS
from tests.real.remote_projects import RemoteProjects, result_of
from tests.real.support import Ended, started_command

CTRL_C = (signal.SIGINT, 130, "Interrupted")
TERM = (signal.SIGTERM, 143, "Terminated")


@pytest.mark.parametrize(("at", "by", "code", "word"), [("queued", *TERM), ("building", *CTRL_C)])
def test_interrupted_run(
    at: str,
    by: signal.Signals,
    code: int,
    word: str,
    remote_projects: RemoteProjects,
    tiny_base: str,
) -> None:
    """Ctrl-C and SIGTERM cancel the run and leave nothing."""
    acr = remote_projects.acr
    project = remote_projects(tiny_base, 'run = [{ command = "echo begun; sleep 600" }]')
    if at == "queued":
        acr.next_run(queued=True)
    line = f"--run-id ca{len(acr.runs) + 1}" if at == "queued" else "begun"
    result = result_of(acr, project, project.interrupted("image.release", *ACR, at=line, by=by))

    last = [
        "cancelling run RUN",
        "run RUN ended: Canceled",
        f"{word}. Everything that was started has been stopped and removed.",
    ]
    assert (code, "", last) == (*result.out, result.messages[-3:])
    assert ("Canceled", {}, frozenset(), {}) == (
        result.the_run.status,
        result.tags,
        result.candidates,
        result.records,
    )


def test_interrupted_upload(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Ctrl-C ends an upload that is stuck, and no run is started."""
    acr, project = remote_projects.acr, remote_projects(tiny_base)
    before, hold = len(acr.runs), Hold()
    acr.faults.add(lambda endpoint, line: endpoint == "storage" and line.startswith("PUT "), hold, times=None)
    with started_command(project, "image.release", *ACR) as running:
        assert hold.reached.wait(SECONDS)
        os.killpg(running.pid, signal.SIGINT)
        out, error = running.communicate()
    result = result_of(acr, project, Ended(code=running.returncode, stdout=out, stderr=error))

    last = "Interrupted. Everything that was started has been stopped and removed."
    assert (130, "", ["build context: 1 file, SIZE, sha256 HASH", last]) == (
        *result.out,
        result.messages[-2:],
    )
    assert (before, {}) == (len(acr.runs), result.records)


@pytest.mark.parametrize(
    ("call", "by", "code", "word"),
    [
        (r"GET /subscriptions\?", *CTRL_C),
        (r"POST .*/scheduleRun", *TERM),
        (r"POST /oauth2/exchange", *CTRL_C),
    ],
    ids=["list", "run", "sign-in"],
)
def test_interrupted_wait(
    call: str,
    by: signal.Signals,
    code: int,
    word: str,
    remote_projects: RemoteProjects,
    tiny_base: str,
) -> None:
    """Ctrl-C and SIGTERM end a wait of an hour that Azure or the registry asks for, which is said."""
    acr, project = remote_projects.acr, remote_projects(tiny_base)
    before = len(acr.runs)
    acr.faults.add(call, Reply(status=429, headers={"Retry-After": "3600"}), times=None)
    ended = project.interrupted(
        "image.build", *ACR, at="asks to wait for 3,600 s; trying again in 30 s", by=by
    )
    result = result_of(acr, project, ended)

    last = f"{word}. Everything that was started has been stopped and removed."
    assert (code, "", last) == (*result.out, result.messages[-1])
    assert (before, {}) == (len(acr.runs), result.records)
