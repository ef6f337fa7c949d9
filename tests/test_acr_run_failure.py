"""Why a run did not succeed."""

from __future__ import annotations

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.acr.run_failure import error_of_log, error_of_run
from azureml_tasks.engines.acr.run_follower import RunFollower
from azureml_tasks.engines.acr.run_log import RunLog
from azureml_tasks.engines.acr.tasks_api import Run
from azureml_tasks.smoke.event_lines import EventCollector
from tests.acr_fakes import FakeClock, FakeTasks, fake_log

# From the status and the log of a run


def run_log(log: str, monkeypatch: pytest.MonkeyPatch) -> RunLog:
    """Return what is read of a failed run with this log."""
    fake_log(monkeypatch, log.encode())
    clock = FakeClock()
    tasks = FakeTasks(Run(id="ca8", status="Failed"))
    follower = RunFollower(
        tasks=tasks.as_tasks(),
        reporter=Console(),
        timeout=1.0,
        clock=clock,
        sleep=clock.sleep,
    )
    return follower.follow(Run(id="ca8", status="Running"), EventCollector())[1]


def code_and_text(run: Run, log: RunLog) -> tuple[int, str]:
    """Return exit code and text of the run's error."""
    error = error_of_run(run, log)
    return error.exit_code, str(error)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            "Canceled",
            "",
            (7, "Run ca8 was cancelled by someone else.\n    Run the same command again."),
        ),
        (
            "Canceled",
            "stopped by \x1b[31madmin",
            (
                7,
                (
                    "Run ca8 was cancelled by someone else.\n    Run the same command again.\n"
                    "    ACR said: stopped by admin"
                ),
            ),
        ),
        (
            "Timeout",
            "timed out",
            (
                7,
                (
                    "Run ca8 exceeded its timeout.\n"
                    "    Increase timeout in [tool.azureml-image.acr], for example: timeout = 7200\n"
                    "    ACR said: timed out"
                ),
            ),
        ),
        (
            "Error",
            "internal error",
            (
                7,
                (
                    "Run ca8 ended with an internal error of ACR.\n    Run the same command again.\n"
                    "    ACR said: internal error"
                ),
            ),
        ),
        (
            "Failed",
            "",
            (7, "Run ca8 failed.\n    Its last lines say why:\n    its log is empty"),
        ),
        (
            "Failed",
            "no agent",
            (7, "Run ca8 failed.\n    Its last lines say why:\n    ACR said: no agent"),
        ),
    ],
)
def test_each_status(status: str, error: str, expected: tuple[int, str]) -> None:
    """Each status other than success has its own message, with ACR's message if there is one."""
    assert expected == code_and_text(Run(id="ca8", status=status, error=error), RunLog())


AGENT = """\
2026/11/25 10:00:07 Downloading source code...
2026/11/25 10:00:08 Executing step ID: build. Timeout(sec): 28800, Working directory: '', Network: ''
2026/11/25 10:00:08 Scanning for dependencies...
2026/11/25 10:00:09 Launching container with name: build
"""
LEGACY = """\
Sending build context to Docker daemon  9.216kB
Step 1/3 : FROM base:1
 ---> 4f5e6d7c8b9a
Step 2/3 : RUN pip install wheels
 ---> Running in 0123456789ab
Successfully built wheels
Removing intermediate container 0123456789ab
 ---> 1111111111aa
"""
FAILED_STEP = """\
Step 3/3 : RUN false
 ---> Running in 0123456789ac
no such thing
The command '/bin/sh -c false' returned a non-zero code: 1
2026/11/25 10:00:20 Container failed during run: build. No retries remaining.
failed to run step ID: build: exit status 1

Run ID: ca8 failed after 12s. Error: failed during run, err: exit status 1
"""
BUILT = """\
Successfully built 222222222222
Successfully tagged contoso.azurecr.io/team/scoring/candidate:ca8
2026/11/25 10:00:20 Successfully executed container: build
"""
PUSHING = """\
2026/11/25 10:00:21 Executing step ID: push. Timeout(sec): 3600, Working directory: '', Network: ''
2026/11/25 10:00:21 Pushing image: contoso.azurecr.io/team/scoring/candidate:ca8, attempt 1
The push refers to repository [contoso.azurecr.io/team/scoring/candidate]
unauthorized: authentication required
2026/11/25 10:00:30 Pushing image: contoso.azurecr.io/team/scoring/candidate:ca8, attempt 3
unauthorized: authentication required
failed to run step ID: push: failed to push images successfully

Run ID: ca8 failed after 22s. Error: failed during run, err: exit status 1
"""
PROBING = """\
2026/11/25 10:00:21 Executing step ID: smoke-test. Timeout(sec): 3600, Working directory: '', Network: ''
2026/11/25 10:00:21 Launching container with name: smoke-test
/bin/sh: 1: exec: /usr/bin/python: not found
2026/11/25 10:00:22 Container failed during run: smoke-test. No retries remaining.
failed to run step ID: smoke-test: exit status 127

Run ID: ca8 failed after 14s. Error: failed during run, err: exit status 1
"""
BUILDKIT = """\
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#5 [2/3] RUN --mount=type=secret,id=netrc pip install private
#6 [other 1/1] RUN echo beside
#5 0.312 Looking in indexes
#6 0.400 beside
#5 0.512 ERROR: 401 Error
#5 ERROR: process "/bin/sh -c pip install private" did not complete successfully: exit code: 1
2026/11/25 10:00:20 Container failed during run: build. No retries remaining.
failed to run step ID: build: exit status 1
"""
STEP_FAILED = """\
A build step failed in run ca8: RUN false
    Its last lines say why:
    no such thing
    The command '/bin/sh -c false' returned a non-zero code: 1"""
BUILDKIT_FAILED = """\
A build step failed in run ca8: RUN --mount=type=secret,id=netrc pip install private
    Its last lines say why:
    Looking in indexes
    ERROR: 401 Error
    ERROR: process "/bin/sh -c pip install private" did not complete successfully: exit code: 1"""
MAY_NOT_PUSH = """\
Run ca8 failed: the run may not push.
    Ask for the role AcrPush on the registry, or "Container Registry Repository Writer"
    its log says: unauthorized: authentication required"""


EARLIER = """\
2026/11/25 10:00:08 Executing step ID: build-python. Timeout(sec): 28800, Working directory: '', Network: ''
2026/11/25 10:00:09 Launching container with name: build-python
Sending build context to Docker daemon  9.216kB
Step 1/2 : FROM base:1
 ---> 4f5e6d7c8b9a
Step 2/2 : RUN pip install wheels
 ---> Running in 0123456789ab
access denied
Successfully built 333333333333
Successfully tagged contoso.azurecr.io/team/scoring/layers:5f5f
2026/11/25 10:00:10 Executing step ID: push-python. Timeout(sec): 3600, Working directory: '', Network: ''
2026/11/25 10:00:10 Pushing image: contoso.azurecr.io/team/scoring/layers:5f5f, attempt 1
"""
DENIED_STEP = FAILED_STEP.replace("no such thing", "denied: requested access to the resource is denied")
FORGED_STEP = FAILED_STEP.replace("no such thing", "failed to run step ID: push: failed to push images")
DENIED = STEP_FAILED.replace("no such thing", "denied: requested access to the resource is denied")
FORGED = STEP_FAILED.replace("    no such thing\n", "")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (AGENT + LEGACY + FAILED_STEP, 4, STEP_FAILED),
        (AGENT + BUILDKIT, 4, BUILDKIT_FAILED),
        (EARLIER + AGENT + LEGACY + FAILED_STEP, 4, STEP_FAILED),
        (EARLIER + AGENT + BUILDKIT, 4, BUILDKIT_FAILED),
        (EARLIER + AGENT + LEGACY + DENIED_STEP, 4, DENIED),
        (AGENT + LEGACY + FORGED_STEP, 4, FORGED),
        (AGENT + LEGACY + BUILT + PUSHING, 6, MAY_NOT_PUSH),
        (
            AGENT
            + "#9 naming to contoso.azurecr.io/team/scoring/candidate:ca8 done\n#9 DONE 0.1s\n"
            + PUSHING,
            6,
            MAY_NOT_PUSH,
        ),
    ],
    ids=[
        *(
            "legacy",
            "BuildKit",
            "after earlier layers",
            "BuildKit after earlier layers by the legacy builder",
        ),
        *("it prints access denied", "it prints what the agent prints"),
        *("push after legacy", "push after BuildKit"),
    ],
)
def test_a_failed_step(text: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that the agent names decides: a build is shown with its own output only, whatever that says."""
    assert (code, words) == code_and_text(Run(id="ca8", status="Failed"), run_log(text, monkeypatch))


def test_a_log_that_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the agent's word on which step failed, nothing of the output is taken for the cause."""
    log = run_log(AGENT + LEGACY + "Step 3/3 : RUN false\ndenied: requested\n", monkeypatch)
    log.complete = False

    expected = """\
Run ca8 failed, and its log was cut, so that nothing says why.
    To read it again: invoke image.resume --run ca8 --engine acr"""
    assert (7, expected) == code_and_text(Run(id="ca8", status="Failed"), log)


def test_a_smoke_test_that_could_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown failure after the build is shown with the last lines of its step."""
    log = run_log(LEGACY + BUILT + PROBING, monkeypatch)

    last = PROBING.splitlines()
    expected = ["Run ca8 failed.", "    Its last lines say why:", *(f"    {line}" for line in last)]
    assert (7, "\n".join(expected)) == code_and_text(Run(id="ca8", status="Failed"), log)


@pytest.mark.parametrize(
    "line",
    [
        "2026/11/25 10:00:09 Output from dependency scanning: unable to understand line from x import y",
        "2026/11/25 10:00:09 Output from dependency scanning: unable to parse assignment A, error: no",
        "2026/11/25 10:00:09 Output from dependency scanning: dockerfile syntax requires ARG directive to have",
        "2026/11/25 10:00:09 Output from dependency scanning: unexpected dockerfile format",
        "2026/11/25 10:00:09 Output from dependency scanning: error opening dockerfile: Dockerfile",
        "Error response from daemon: dockerfile parse error line 3: Unknown flag: link",
    ],
)
def test_a_rejected_dockerfile(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Dockerfile that the agent's scan or its builder rejects before the first step is the cause."""
    failed = "failed to run step ID: build: exit status 1"
    log = run_log(f"{AGENT}{line}\n{failed}\n", monkeypatch)

    last = "\n".join(f"    {each}" for each in [*AGENT.splitlines()[1:], line, failed])
    expected = f"ACR rejects the Dockerfile (run ca8).\n    Its last lines say why:\n{last}"
    assert (4, expected) == code_and_text(Run(id="ca8", status="Failed"), log)


def test_a_push_that_failed_for_an_unknown_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that broke off is neither blamed on the Dockerfile nor on a missing permission."""
    text = (
        "#1 [internal] load build definition from Dockerfile\n"
        "#7 0.512 a linter: dockerfile parse error: none\n"
        "#9 naming to contoso.azurecr.io/team/scoring/candidate:ca8 done\n"
        "received unexpected HTTP status: 502 Bad Gateway\n"
        "failed to run step ID: push: failed to push images successfully\n"
    )
    log = run_log(text, monkeypatch)

    last = "\n".join(f"    {line}" for line in text.splitlines())
    expected = f"Run ca8 failed.\n    Its last lines say why:\n{last}"
    assert (7, expected) == code_and_text(Run(id="ca8", status="Failed"), log)


# From a line of the log

NETWORK = (
    "Error response from daemon: Get \"https://contoso.azurecr.io/v2/\": denied: client with IP '20.1.2.3' "
    "is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
)
OUTSIDE = """\
Run ca8 failed: the agents of ACR Tasks are outside the registry's network.
    Use a dedicated agent pool inside it: agent-pool = "…"
    or let tasks in: set networkRuleBypassAllowedForTasks and allow trusted services on the registry
    its log says: LINE"""
AS_YOU = """\
Run ca8 failed: the registry grants permissions by repository, and the run pushes as you.
    Ask for the role "Container Registry Repository Writer" on the registry
    its log says: LINE"""
NO_SOURCE = """\
Run ca8 failed: the agent could not unpack the build context.
    Run the same command again.
    its log says: LINE"""
MAY_NOT = """\
Run ca8 failed: the run may not push.
    Ask for the role AcrPush on the registry, or "Container Registry Repository Writer"
    its log says: LINE"""
FULL = """\
Run ca8 failed: the agent's disk is full.
    Use a dedicated agent pool with a larger disk: agent-pool = "…"
    its log says: LINE"""


@pytest.mark.parametrize(
    ("line", "exit_code", "words"),
    [
        (NETWORK, 6, OUTSIDE),
        ("when specifying push, at least one credential is required", 6, AS_YOU),
        ("failed to download source", 7, NO_SOURCE),
        ("2026/11/25 10:00:00 Failed to unpack the archive: unexpected EOF", 7, NO_SOURCE),
        ("unauthorized: authentication required, visit https://aka.ms/acr/authorization", 6, MAY_NOT),
        ("denied: requested access to the resource is denied", 6, MAY_NOT),
        ('error="insufficient_scope",scope="repository:a:push"', 6, MAY_NOT),
        ("write /var/lib/docker/tmp/x: no space left on device", 7, FULL),
    ],
)
def test_known_messages_in_a_log(line: str, exit_code: int, words: str) -> None:
    """A known message is explained, and shown."""
    error = error_of_log("ca8", ["before", line, "after"])

    assert error
    assert (exit_code, words.replace("LINE", line)) == (error.exit_code, str(error))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "exit status 1",
        "PermissionError: [Errno 13] Permission denied: '/var/azureml-app'",
        "chmod: permission denied",
        "undenied, unauthorizedly",
        "failed to run step ID: push: failed to push images successfully",
    ],
)
def test_other_messages_in_a_log(line: str) -> None:
    """Unknown messages are not explained, nor are denied accesses to files."""
    assert error_of_log("ca8", [line]) is None


def test_the_last_known_message_counts() -> None:
    """The end of a log says why a run failed."""
    error = error_of_log("ca8", ["failed to download source, again", "denied: requested", "the end"])

    assert str(error) == MAY_NOT.replace("LINE", "denied: requested")
    assert error_of_log("ca8", []) is None
