"""Failures while a candidate image is published."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.machine.acr.azure_state import Settings
from tests.machine.acr.faults import CutRequest, Reply
from tests.real.in_process import REGISTRY, InProcess, Meanwhile, Outcome
from tests.real.remote_build_faults import (
    CHANGED,
    PUBLISHING,
    PUSHED,
    REGISTRY_BROKEN,
    REMOVED,
    WAITS,
    broken,
)


def test_requests_of_a_push_are_retried(in_process: InProcess) -> None:
    """Each request of a push may fail three times in a row, in different ways."""
    in_process.passed()
    injected = {
        call: [in_process.fail(line, behaviour) for behaviour in (broken(500), broken(503), CutRequest())]
        for call, line in PUBLISHING.items()
    }

    assert (PUSHED, REGISTRY + CHANGED + REMOVED) == (in_process.push(), in_process.progress)
    assert {call: [1, 1, 1] for call in PUBLISHING} == {
        call: [fault.hits for fault in faults] for call, faults in injected.items()
    }


STAYS = """\
warning: the candidate image NAME/candidate@sha256:ID was not deleted: Registry REGISTRY answers {status}, \
also after retries.
    az acr repository delete --name loopbackregistry --image NAME/candidate@sha256:ID
"""


NOT_PUSHED = REGISTRY_BROKEN + f"Nothing was pushed. {WAITS}"


UNCONFIRMED = "".join(
    f"warning: REGISTRY/NAME:{tag} was pushed as sha256:ID, which the registry did not confirm again\n"
    for tag in ("KEPT", "1.0")
)


PUSH_FOR_GOOD = {
    "candidate": (6, REGISTRY_BROKEN + "Nothing was pushed.", ()),
    "mount": (6, NOT_PUSHED, ()),
    "manifest": (6, NOT_PUSHED, ()),
    "confirmation": (0, PUSHED.message, PUSHED.tags),
    "delete": (0, PUSHED.message, PUSHED.tags),
}
"""The end of a push if this request always fails: exit code, message, tags."""


@pytest.mark.parametrize(("call", "status"), [*zip(PUSH_FOR_GOOD, itertools.cycle([500, 503]), strict=False)])
def test_a_push_is_continued_after_a_permanent_failure(in_process: InProcess, call: str, status: int) -> None:
    """The error says which tags were pushed, and the next push finishes; a candidate that is not deleted is named."""
    in_process.passed()
    in_process.fail(PUBLISHING[call], broken(status), times=None)
    code, message, tags = PUSH_FOR_GOOD[call]
    first, progress = in_process.push(), in_process.progress
    in_process.acr.faults.clear()

    more = {"confirmation": UNCONFIRMED + REMOVED, "delete": STAYS.format(status=status)}.get(call, "")
    expected = Outcome(code=code, message=message.format(status=status), tags=tags)
    assert (expected, REGISTRY + (CHANGED + more if call != "candidate" else "")) == (
        first,
        progress,
    )
    if call != "confirmation":
        assert PUSHED == in_process.push()


def test_publishing_is_refused(in_process: InProcess) -> None:
    """Without the permission to push: exit code 6; a later push publishes the candidate."""
    in_process.passed()
    in_process.acr.settings.caller_actions = {"*": frozenset({"pull", "delete"})}
    outcome = in_process.push()
    in_process.acr.settings.set_to(Settings())

    message = f"""\
Registry REGISTRY refused to mount a layer of NAME/candidate in NAME: not allowed (401).
    Ask for the role AcrPush, or "Container Registry Repository Writer", on the registry
    the registry said: …
Nothing was pushed. {WAITS}"""
    shown = re.sub(r"(the registry said: ).*", r"\1…", outcome.message)
    assert (Outcome(code=6, message=message), PUSHED) == (
        Outcome(code=outcome.code, message=shown, tags=outcome.tags),
        in_process.push(),
    )


def test_a_failure_at_the_second_tag(in_process: InProcess) -> None:
    """The error says which tags were pushed, and the next push finishes."""
    in_process.passed("1.0", "latest")
    in_process.fail(r"PUT /v2/.*/manifests/latest", broken(503), times=None)
    outcome = in_process.push()
    in_process.acr.faults.clear()

    message = REGISTRY_BROKEN.format(status=503) + f"Pushed: KEPT, 1.0. {WAITS}"
    assert Outcome(code=6, message=message, tags=("1.0", "KEPT")) == outcome
    assert Outcome(code=0, message=PUSHED.message, tags=("1.0", "KEPT", "latest")) == in_process.push()


def test_registry_tokens_expire(in_process: InProcess) -> None:
    """A registry token that expires during a push is replaced."""
    in_process.passed("1.0", "latest")
    in_process.acr.settings.token_seconds = 60
    fault = in_process.fail(r"PUT /v2/.*/manifests/1.0", Meanwhile(in_process.acr.expire_tokens))

    expected = Outcome(code=0, message=PUSHED.message, tags=("1.0", "KEPT", "latest"))
    assert (expected, 1) == (in_process.push(), fault.hits)
    names = [
        in_process.normal(request.path.rpartition("/")[2])
        for request in in_process.acr.requests
        if request.method == "PUT"
    ]
    assert ["KEPT", "1.0", "1.0", "latest"] == names


def test_someone_else_moves_the_tag(in_process: InProcess) -> None:
    """A tag that names another image right after the push is an error: exit code 6."""
    in_process.passed()
    in_process.fail(rf"{PUBLISHING['confirmation']}1.0", Reply(status=200, body=b"{}"))

    message = f"""\
REGISTRY/NAME:1.0 is sha256:ID, not sha256:ID: someone else pushed this tag at the same time.
    Push again, or use another tag: --tag
Pushed: KEPT. The image is in the registry as NAME@sha256:ID; the tag names another one. {WAITS}"""
    assert Outcome(code=6, message=message, tags=("1.0", "KEPT")) == in_process.push()
