"""How a run that has ended ended."""

from __future__ import annotations

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.acr.cloud_smoke_test import Collector
from azureml_tasks.engines.acr.run_failure import Times, failure, output_image
from azureml_tasks.engines.acr.run_follower import Followed, Follower
from azureml_tasks.engines.acr.tasks_api import OutputImage, Run
from azureml_tasks.errors import RemoteBuildError
from tests.acr_following import Clock, PlayedTasks, the_log

CREATED, STARTED, FINISHED = (
    "2026-11-25T10:00:00.1234567Z",
    "2026-11-25T10:00:07.6234567Z",
    "2026-11-25T10:02:00.6234569Z",
)


# Times


@pytest.mark.parametrize(
    ("created", "started", "finished", "expected"),
    [
        (CREATED, STARTED, FINISHED, (7.5, 113.0)),
        ("2026-11-25T10:00:00Z", "2026-11-25T10:00:01Z", "2026-11-25T10:00:03.5Z", (1.0, 2.5)),
        ("2026-11-25T10:00:00+00:00", "2026-11-25T12:00:01+02:00", "2026-11-25T05:00:02-05:00", (1.0, 1.0)),
        (
            "2026-11-25T10:00:00.1234567+00:00",
            "2026-11-25T12:00:01.1234567+02:00",
            "2026-11-25T05:00:02.1234567-05:00",
            (1.0, 1.0),
        ),
        (CREATED, "", "", (None, None)),
        ("", STARTED, FINISHED, (None, 113.0)),
        (CREATED, STARTED, "", (7.5, None)),
        ("", "", "", (None, None)),
        (CREATED, "2026-11-25T10:00:07", FINISHED, (None, None)),
        (CREATED, "soon", "2026-13-45T10:00:07Z", (None, None)),
    ],
    ids=[
        *(
            "seven digits",
            "no digits, and one",
            "offsets",
            "offsets and digits",
            "not started",
            "not created",
        ),
        *("not finished", "nothing", "no offset", "no time"),
    ],
)
def test_times(
    created: str, started: str, finished: str, expected: tuple[float | None, float | None]
) -> None:
    """Seconds come from RFC 3339 in any of its spellings; what ACR has not told, or no clock says, is not made up."""
    times = Times.of(Run(id="ca8", status="Succeeded", created=created, started=started, finished=finished))

    assert expected == (times.queued, times.worked)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (Times(queued=7.5, worked=113.0), "8 s in the queue, 113 s at work"),
        (Times(queued=0.0, worked=None), "0 s in the queue"),
        (Times(queued=None, worked=2.4), "2 s at work"),
        (Times(queued=None, worked=None), "ACR tells no times"),
    ],
)
def test_times_in_words(times: Times, expected: str) -> None:
    """What is known is said, and no more."""
    assert expected == str(times)


# What was pushed

DIGEST = "sha256:" + "1" * 64


def image(repository: str, digest: str = DIGEST) -> OutputImage:
    """An image that a run says it has pushed."""
    return OutputImage(registry="contoso.azurecr.io", repository=repository, tag="ca8", digest=digest)


def test_the_candidate_is_what_counts() -> None:
    """Of the images that a run names, the candidate of this repository is taken, and no other."""
    other = image("team/other/candidate", "sha256:" + "2" * 64)
    run = Run(
        id="ca8", status="Succeeded", images=(other, image("team/scoring"), image("team/scoring/candidate"))
    )

    assert image("team/scoring/candidate") == output_image(run, "team/scoring")


@pytest.mark.parametrize(
    "images",
    [(), (image("team/scoring"),), (image("team/scoring/candidate", ""),)],
    ids=["none", "other", "no digest"],
)
def test_a_run_that_names_no_candidate(images: tuple[OutputImage, ...]) -> None:
    """A run that succeeded and names no candidate with a digest has pushed nothing that is known."""
    with pytest.raises(RemoteBuildError) as caught:
        output_image(Run(id="ca8", status="Succeeded", images=images), "team/scoring")

    expected = """\
Run ca8 succeeded, and names no image that it has pushed to team/scoring/candidate.
    Run the same command again.
Nothing was built."""
    assert expected == str(caught.value)


# What went wrong


def seen(log: str, monkeypatch: pytest.MonkeyPatch, *, buildkit: bool = False) -> Followed:
    """What is seen of a run that failed with this log."""
    the_log(monkeypatch, log.encode())
    clock = Clock()
    tasks = PlayedTasks(Run(id="ca8", status="Failed"))
    follower = Follower(
        tasks=tasks.as_tasks(),
        reporter=Console(),
        timeout=1.0,
        buildkit=buildkit,
        clock=clock,
        sleep=clock.sleep,
    )
    return follower.follow(Run(id="ca8", status="Running"), Collector())[1]


def told(run: Run, found: Followed) -> tuple[int, str]:
    """Exit code and words."""
    error = failure(run, found)
    return error.exit_code, str(error)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            "Canceled",
            "",
            (7, "Run ca8 was cancelled by somebody else.\n    Run the same command again."),
        ),
        (
            "Canceled",
            "stopped by \x1b[31madmin",
            (
                7,
                (
                    "Run ca8 was cancelled by somebody else.\n    Run the same command again.\n"
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
                    "Run ca8 took longer than it may.\n"
                    "    Give it longer: timeout = 7200 in [tool.azureml-image.acr]\n    ACR said: timed out"
                ),
            ),
        ),
        (
            "Error",
            "internal error",
            (7, "Run ca8 ended with an error of ACR.\n    Run it again.\n    ACR said: internal error"),
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
    """Each status that is no success has its own words, and those of ACR where it says any."""
    assert expected == told(Run(id="ca8", status=status, error=error), Followed())


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
    its log said: unauthorized: authentication required"""


@pytest.mark.parametrize(
    ("log", "buildkit", "code", "words"),
    [
        (AGENT + LEGACY + FAILED_STEP, False, 4, STEP_FAILED),
        (AGENT + BUILDKIT, True, 4, BUILDKIT_FAILED),
        (AGENT + LEGACY + BUILT + PUSHING, False, 6, MAY_NOT_PUSH),
        (
            AGENT
            + "#9 naming to contoso.azurecr.io/team/scoring/candidate:ca8 done\n#9 DONE 0.1s\n"
            + PUSHING,
            True,
            6,
            MAY_NOT_PUSH,
        ),
    ],
    ids=["legacy", "BuildKit", "push after legacy", "push after BuildKit"],
)
def test_what_failed(
    log: str, buildkit: bool, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of the Dockerfile and its own lines alone, without the agent's; or the push, once all is built."""
    found = seen(log, monkeypatch, buildkit=buildkit)

    assert (code, words) == told(Run(id="ca8", status="Failed"), found)


def test_the_smoke_test_that_could_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once all is built, a failure that has no known words is shown by the last lines of the log."""
    found = seen(LEGACY + BUILT + PROBING, monkeypatch)

    last = (LEGACY + BUILT + PROBING).splitlines()[-20:]
    expected = ["Run ca8 failed.", "    Its last lines say why:", *(f"    {line}" for line in last)]
    assert (7, "\n".join(expected)) == told(Run(id="ca8", status="Failed"), found)


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
def test_a_dockerfile_that_acr_does_not_take(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the agent's own look at the Dockerfile refuses, or its builder before any step, is the Dockerfile's."""
    failed = "failed to run step ID: build: exit status 1"
    found = seen(f"{AGENT}{line}\n{failed}\n", monkeypatch)

    last = "\n".join(f"    {each}" for each in [*AGENT.splitlines(), line, failed])
    expected = f"ACR does not take the Dockerfile (run ca8).\n    Its last lines say why:\n{last}"
    assert (4, expected) == told(Run(id="ca8", status="Failed"), found)


def test_a_push_that_failed_for_no_known_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is guessed: a push that broke off is neither a Dockerfile's fault nor a right that is missing."""
    log = (
        "#1 [internal] load build definition from Dockerfile\n"
        "#7 0.512 a linter: dockerfile parse error: none\n"
        "#9 naming to contoso.azurecr.io/team/scoring/candidate:ca8 done\n"
        "received unexpected HTTP status: 502 Bad Gateway\n"
        "failed to run step ID: push: failed to push images successfully\n"
    )
    found = seen(log, monkeypatch, buildkit=True)

    last = "\n".join(f"    {line}" for line in log.splitlines())
    expected = f"Run ca8 failed.\n    Its last lines say why:\n{last}"
    assert (7, expected) == told(Run(id="ca8", status="Failed"), found)


@pytest.mark.parametrize(
    ("line", "built"),
    [
        ("Successfully built 222222222222", True),
        ("Successfully tagged contoso.azurecr.io/team/scoring/candidate:ca8", True),
        ("2026/11/25 10:00:21 Pushing image: contoso.azurecr.io/a:1, attempt 1", True),
        ("#9 naming to contoso.azurecr.io/a:1 done", True),
        ("Successfully built wheels", False),
        ("Successfully built numpy pandas", False),
        ("#7 1.5 Successfully built wheels", False),
        ("#7 1.5 it is naming to be done", False),
        ("echo Pushing image: a", False),
    ],
)
def test_when_all_is_built(line: str, built: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent and its builders say when the image is built; what a step prints does not."""
    assert built == seen(line + "\n", monkeypatch).built
