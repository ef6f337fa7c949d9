"""Following a run, and how it ends."""

from __future__ import annotations

import re

import pytest

from tests.machine.acr.faults import CutAnswer
from tests.real.in_process import REGISTRY, Clock, InProcess, Outcome
from tests.real.remote_build_faults import (
    AZURE_BROKEN,
    BUILT,
    CALLS,
    ENDED,
    FOLLOW,
    STEP,
    STEP_FAILED,
    broken,
    ending,
)
from tests.real.remote_output import SECONDS


def test_no_status_for_five_minutes(in_process: InProcess) -> None:
    """After five minutes without the status of a run: exit code 7; the run continues."""
    script = in_process.acr.next_run(silent=True, status="Succeeded")
    in_process.fail(CALLS["run"], broken(500), times=None)
    clock = Clock([script.reached.wait])
    outcome = in_process.followed(clock)

    message = (
        AZURE_BROKEN.format("give the status of run RUN").format(status=500)
        + f"Run RUN continues in ACR. To follow it again: {FOLLOW}"
    )
    assert (Outcome(code=7, message=message, runs=("Running",)), True) == (outcome, 300 <= clock.now < 310)
    again = "Azure refused to give the status of run RUN: HTTP 500. The run continues; retrying."
    assert {again} == set(in_process.progress.removeprefix(REGISTRY).splitlines())


FAULT = "cannot read the log, retrying: {}\n"


def test_a_log_whose_connection_breaks(in_process: InProcess) -> None:
    """If the connection to a log breaks repeatedly, every line is shown once."""
    lines = "".join(f"line {number}\n" for number in range(20_000))
    script = in_process.acr.next_run(silent=True, status="Succeeded", log=lines)
    faults = [in_process.fail(CALLS["log"], CutAnswer(after=after)) for after in (1, 1_000, 100_000)]
    outcome = in_process.followed(Clock([ending(in_process, script.release)]))

    expected = Outcome(code=0, message="Succeeded, complete\n", runs=("Succeeded",))
    assert (expected, [1, 1, 1]) == (outcome, [fault.hits for fault in faults])
    shown = re.sub(rf"(?m)^{re.escape(FAULT.partition('{')[0])}.*\n", "", in_process.progress)
    assert REGISTRY + lines + ENDED.format("was successful") == shown


def test_an_expired_log_url(in_process: InProcess) -> None:
    """A log whose URL has expired is read with a new one."""
    in_process.acr.settings.log_seconds = -1
    script = in_process.acr.next_run(silent=True, status="Succeeded", log="a line\n")

    def renew() -> None:
        assert script.reached.wait(SECONDS)
        in_process.acr.settings.log_seconds = 3600

    outcome = in_process.followed(Clock([script.reached.wait, renew, ending(in_process, script.release)]))

    reason = "Operation returned an invalid status 'Forbidden'"
    assert Outcome(code=0, message="Succeeded, complete\n", runs=("Succeeded",)) == outcome
    assert (
        REGISTRY + FAULT.format(reason) + "a line\n" + ENDED.format("was successful") == in_process.progress
    )


def test_a_silent_log(in_process: InProcess) -> None:
    """A silent run is followed for longer than it may stay in the queue."""
    script = in_process.acr.next_run(silent=True, status="Succeeded", log="at last\n")
    clock = Clock([script.reached.wait])
    clock.then += [lambda: clock.sleep(4_000), lambda: None, lambda: None, ending(in_process, script.release)]
    outcome = in_process.followed(clock, timeout=300)

    expected = Outcome(code=0, message="Succeeded, complete\n", runs=("Succeeded",))
    assert (expected, REGISTRY + "at last\n" + ENDED.format("was successful")) == (
        outcome,
        in_process.progress,
    )


def test_a_log_that_cannot_be_read(in_process: InProcess) -> None:
    """If a log cannot be read, the result follows from the run's status, with a warning."""
    script = in_process.acr.next_run(silent=True, status="Failed", log="never seen\n")
    in_process.fail(CALLS["log's length"], broken(503), times=None)
    outcome = in_process.followed(Clock([script.reached.wait, ending(in_process, script.release)]))

    warning = "warning: the end of the log of run RUN could not be read; the result follows from its status\n"
    expected = Outcome(code=0, message="Failed, incomplete\n", runs=("Failed",))
    assert (expected, REGISTRY + FAULT.format("Service Unavailable") + warning) == (
        outcome,
        in_process.progress,
    )


def test_a_run_that_stays_in_the_queue(in_process: InProcess) -> None:
    """A run that stays queued for `timeout` seconds is cancelled: exit code 7."""
    in_process.acr.next_run(queued=True)
    clock = Clock()
    clock.then = [lambda: clock.sleep(301), lambda: None, ending(in_process, lambda: None)]
    outcome = in_process.followed(clock, timeout=300)

    message = """\
Run RUN stayed in the queue for 300 s and was cancelled.
    Run the same command again later, or increase timeout in [tool.azureml-image.acr]
    or use a dedicated agent pool: agent-pool = "…" in [tool.azureml-image.acr]"""
    assert Outcome(code=7, message=message, runs=("Canceled",)) == outcome
    assert REGISTRY + "cancelling run RUN\nrun RUN ended: Canceled\n" == in_process.progress


@pytest.mark.parametrize(
    ("times", "status", "line"),
    [
        (3, "Canceled", "run RUN ended: Canceled"),
        (None, "Running", "run RUN was cancelled, but has not ended yet"),
    ],
)
def test_cancelling_is_retried(
    in_process: InProcess,
    times: int | None,
    status: str,
    line: str,
) -> None:
    """Cancelling is retried; if it fails, a message says so."""
    in_process.acr.next_run(silent=True, status="Succeeded")
    in_process.fail(r"POST .*/cancel", broken(500), times=times)
    outcome = in_process.cancelled(Clock([ending(in_process, lambda: None)] if times else []))

    expected = Outcome(code=0, message=f"{status}\n", runs=(status,))
    assert (expected, f"{REGISTRY}cancelling run RUN\n{line}\n") == (outcome, in_process.progress)


DENIED = "denied: requested access to the resource is denied"


NETWORK = (
    "failed to login, ran out of retries: failed to set docker credentials: Error response from daemon: Get "
    "\"https://contoso.azurecr.io/v2/\": denied: client with IP '20.0.0.1' is not allowed access."
)


REGISTRY_RULE = """\
Run RUN failed: the agents of ACR Tasks are outside the registry's network.
    Use a dedicated agent pool inside it: agent-pool = "…"
    or let tasks in: set networkRuleBypassAllowedForTasks and allow trusted services on the registry
    its log says: """


MAY_NOT_PUSH = f"""\
Run RUN failed: the run may not push.
    Ask for the role AcrPush on the registry, or "Container Registry Repository Writer"
    its log says: {DENIED}"""


WHOLE_LOG = "The whole log is in .azureml-image/build.log."
WHY, AFTER = "    Its last lines say why:\n", "    \n    Run ID: RUN failed after Ns"


ENDS = {
    "error": (
        "Error",
        "no agent",
        "",
        7,
        "Run RUN ended with an internal error of ACR.\n    Run the same command again.\n    ACR said: no agent",
    ),
    "step": ("Failed", None, STEP, 4, STEP_FAILED),
    "network": ("Failed", None, f"{NETWORK}\n", 6, REGISTRY_RULE + NETWORK),
    "unknown": (
        "Failed",
        "of no known kind",
        "what nobody knows\n",
        7,
        f"Run RUN failed.\n{WHY}    what nobody knows\n{AFTER}. Error: of no known kind",
    ),
}
"""Status, error and log of a run, and the exit code and message of the command."""


@pytest.mark.parametrize("end", ENDS)
def test_failed_runs(in_process: InProcess, end: str) -> None:
    """A run can fail in several ways with exit code 4, 6 or 7; `test_acr_run_failure` has the others."""
    status, error, log, code, message = ENDS[end]
    in_process.acr.next_run(status=status, error=error, log=log)

    state = f"{WHOLE_LOG} Nothing was built." if WHY in message else "Nothing was built."
    assert Outcome(code=code, message=f"{message}\n{state}", runs=(status,)) == in_process.build()
    assert [] == in_process.project.records()


def test_a_run_succeeds_without_an_image(in_process: InProcess) -> None:
    """A successful run without an image: exit code 7."""
    in_process.acr.next_run(status="Succeeded")

    message = """\
Run RUN succeeded, but there is no image that it pushed to NAME/candidate.
    Run the same command again.
Nothing was built."""
    assert Outcome(code=7, message=message, runs=("Succeeded",)) == in_process.build()


def test_a_run_that_names_no_image(in_process: InProcess) -> None:
    """If ACR names no image of a successful run, the registry is asked for the tag of the run."""
    run = f"ca{len(in_process.acr.runs) + 1}"
    digest = in_process.put(run)
    in_process.acr.next_run(status="Succeeded")
    outcome = in_process.build()

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == (outcome.code, outcome.message)
    assert digest == in_process.project.record("build.json")["id"]


def test_a_run_names_an_image_that_is_not_there(in_process: InProcess) -> None:
    """A successful run whose image is not in the registry: exit code 4."""
    in_process.succeeding(f"sha256:{'0' * 64}")

    message = """\
Run RUN reports that it pushed sha256:ID, but the registry does not have it.
    invoke image.build --engine acr
Nothing was built."""
    assert Outcome(code=4, message=message, runs=("Succeeded",)) == in_process.build()


def test_a_run_may_not_push(in_process: InProcess) -> None:
    """A run that may not push: exit code 6, with the message of its log."""
    in_process.acr.settings.run_actions = {"*": frozenset({"pull"})}

    assert (
        Outcome(code=6, message=f"{MAY_NOT_PUSH}\nNothing was built.", runs=("Failed",)) == in_process.build()
    )


def test_a_candidate_with_the_tag_of_the_run_exists(in_process: InProcess) -> None:
    """If an older candidate has the tag of the run's ID, the digest that the run pushed is used."""
    run = len(in_process.acr.runs) + 1
    older = in_process.put(f"ca{run}")
    outcome = in_process.build()

    assert BUILT == outcome
    assert [True, False] == [
        in_process.project.record("build.json")["id"] == digest
        for digest in (in_process.acr.tags(in_process.candidates)[f"ca{run}"], older)
    ]
