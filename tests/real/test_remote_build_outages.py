"""Temporary and permanent failures of Azure, Azure Storage and the registry during a build."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import time
from collections.abc import Sequence

import pytest

from tests.machine.acr.faults import CutRequest, Garble, Reply
from tests.real.in_process import InProcess, Outcome
from tests.real.remote_build_faults import (
    AZURE_BROKEN,
    BUILT,
    CALLS,
    CUT,
    HAS_BUILT,
    NO_ANSWER,
    NO_REGISTRY,
    NOTHING,
    REGISTRY_BROKEN,
    UNKNOWN,
    broken,
    in_blocks,
)

BLOCKS = ("block", "block list")


@pytest.mark.parametrize(
    "calls",
    [[call for call in CALLS if call not in {"schedule", *BLOCKS}], BLOCKS],
    ids=["in one piece", "in blocks"],
)
def test_requests_of_a_build_are_retried(in_process: InProcess, calls: Sequence[str]) -> None:
    """Each request of a build may fail three times in a row, in different ways."""
    in_process.succeeding()
    in_blocks(in_process, calls[0])
    injected = {
        call: [
            in_process.fail(CALLS[call], behaviour) for behaviour in (broken(500), broken(503), CutRequest())
        ]
        for call in calls
    }

    assert BUILT == in_process.build()
    assert {call: [1, 1, 1] for call in calls} == {
        call: [fault.hits for fault in faults] for call, faults in injected.items()
    }


@pytest.mark.parametrize("status", [429, 503])
def test_a_run_that_was_not_queued_is_requested_again(in_process: InProcess, status: int) -> None:
    """A status that means that no run was started is retried; one run is started."""
    in_process.succeeding()
    fault = in_process.fail(CALLS["schedule"], broken(status), times=3)

    assert (BUILT, 3) == (in_process.build(), fault.hits)


UPLOAD = """\
The build context could not be uploaded.
    Check the network: the build context is uploaded to a storage account of ACR,
    127.0.0.1:PORT; then run the same command again
    Azure Storage said: {}
Nothing was built."""


FOR_GOOD = {
    "subscriptions": AZURE_BROKEN.format("list your subscriptions") + NOTHING,
    "registries": AZURE_BROKEN.format("list the registries of subscription GUID") + NOTHING,
    "challenge": REGISTRY_BROKEN + NOTHING,
    "exchange": REGISTRY_BROKEN + NOTHING,
    "registry token": REGISTRY_BROKEN + NOTHING,
    "address": AZURE_BROKEN.format("give an upload URL for the build context") + NOTHING,
    "upload": UPLOAD.format("(Broken) for a while"),
    "block": UPLOAD.format("(Broken) for a while"),
    "block list": UPLOAD.format("(Broken) for a while"),
    "schedule": AZURE_BROKEN.format("start the run") + UNKNOWN,
    "manifest": REGISTRY_BROKEN + HAS_BUILT,
    "config": REGISTRY_BROKEN + HAS_BUILT,
}
"""The error of a build if this request always fails."""


@pytest.mark.parametrize(("call", "status"), [*zip(FOR_GOOD, itertools.cycle([500, 503]), strict=False)])
def test_a_permanent_failure_ends_a_build(in_process: InProcess, call: str, status: int) -> None:
    """A request that fails for good ends a build: exit code 6 if it was to the registry, 7 if it was to Azure."""
    in_process.succeeding()
    in_blocks(in_process, call)
    in_process.fail(CALLS[call], broken(status), times=None)

    runs = ("Succeeded",) if call in {"manifest", "config"} else ()
    code = 6 if FOR_GOOD[call].startswith(REGISTRY_BROKEN) else 7
    assert Outcome(code=code, message=FOR_GOOD[call].format(status=status), runs=runs) == in_process.build()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=403, headers={"x-ms-error-code": "AuthenticationFailed"}),
        Reply(status=409, headers={"x-ms-error-code": "BlobAlreadyExists"}),
    ],
    ids=["its address has expired", "something is there"],
)
@pytest.mark.parametrize("call", ["upload", "block list"])
def test_an_upload_goes_to_a_new_address(in_process: InProcess, call: str, reply: Reply) -> None:
    """If an address has expired or holds something already, the context goes to another; nothing is overwritten."""
    in_process.succeeding()
    in_blocks(in_process, call)
    fault = in_process.fail(CALLS[call], reply)
    outcome = in_process.build()

    sent = [
        request
        for request in in_process.acr.requests
        if request.endpoint == "storage" and request.method == "PUT"
    ]
    assert (BUILT, 1, 2) == (outcome, fault.hits, len({request.path for request in sent}))
    assert "uploading it to a new URL\n" in in_process.progress


def test_a_run_that_may_have_been_started_is_not_requested_again(in_process: InProcess) -> None:
    """A request to start a run is not retried if the first may have started one."""
    fault = in_process.fail(CALLS["schedule"], broken(500), times=None)
    in_process.build()

    assert 1 == fault.hits


@pytest.mark.parametrize("call", ["manifest", "config"])
def test_a_run_is_resumed_after_a_failure_of_the_registry(in_process: InProcess, call: str) -> None:
    """A run that succeeded while the registry did not answer is finished by `image.resume`."""
    in_process.succeeding()
    in_process.fail(CALLS[call], broken(503), times=None)
    failed = in_process.build()
    in_process.acr.faults.clear()

    assert (6, BUILT) == (failed.code, in_process.resume())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("registries", NO_ANSWER.format("list the registries of subscription GUID") + NOTHING),
        ("address", NO_ANSWER.format("give an upload URL for the build context") + NOTHING),
        ("schedule", NO_ANSWER.format("start the run") + UNKNOWN),
        ("exchange", NO_REGISTRY + NOTHING),
        ("upload", UPLOAD.format(CUT)),
    ],
)
def test_connections_that_always_break(in_process: InProcess, call: str, message: str) -> None:
    """A connection that is cut each time ends a build: exit code 6 if it was to the registry, 7 if it was to Azure."""
    in_process.fail(CALLS[call], CutRequest(), times=None)

    assert Outcome(code=6 if call == "exchange" else 7, message=message) == in_process.build()


def test_unreachable_storage(in_process: InProcess) -> None:
    """An unreachable host of Azure Storage is named, without the signature of the upload URL."""
    url = "http://127.0.0.1:9/acrtasks/source.tar.gz?sv=1&sig=c2lnbmF0dXJl"
    in_process.fail(CALLS["address"], Reply(status=200, json={"uploadUrl": url, "relativePath": "source"}))
    outcome = in_process.build()

    assert Outcome(code=7, message=UPLOAD.format("Connection refused")) == outcome


def test_an_expired_upload_url(in_process: InProcess) -> None:
    """An upload that Azure Storage refuses ends a build with exit code 7 and its message."""
    in_process.acr.settings.upload_seconds = -1

    reason = (
        "Server failed to authenticate the request. Make sure the value of the Authorization header is formed "
        "correctly including the signature."
    )
    assert Outcome(code=7, message=UPLOAD.format(reason)) == in_process.build()


@pytest.mark.parametrize("call", ["upload", "block"])
def test_a_corrupted_upload(in_process: InProcess, call: str) -> None:
    """Azure Storage rejects a corrupted block, even without TLS."""
    in_blocks(in_process, call)
    in_process.fail(CALLS[call], Garble(), times=None)

    reason = (
        "The MD5 value specified in the request did not match with the MD5 value calculated by the server."
    )
    assert Outcome(code=7, message=UPLOAD.format(reason)) == in_process.build()


@pytest.mark.parametrize("call", ["upload", "block"])
def test_a_machine_without_md5(in_process: InProcess, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build context is uploaded without MD5 if OpenSSL refuses it, as in FIPS mode."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise ValueError("[digital envelope routines] unsupported")

    in_process.succeeding()
    in_blocks(in_process, call)
    monkeypatch.setattr(hashlib, "md5", refuse)

    assert BUILT == in_process.build()


def test_each_block_is_retried(in_process: InProcess) -> None:
    """The archive arrives whole even if the connection of every block breaks once."""
    content = os.urandom(9_000_000)
    (in_process.project.folder / "code" / "model.bin").write_bytes(content)
    fault = in_process.fail(CALLS["block"], CutRequest(after=1_000_000), times=3)
    outcome = in_process.build()

    archive = in_process.acr.runs[-1].archive
    assert archive is not None
    assert (BUILT, 3, True) == (outcome, fault.hits, content in gzip.decompress(archive))


def test_retry_after(in_process: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is retried after the seconds of Retry-After."""
    in_process.succeeding()
    monkeypatch.setattr(time, "sleep", in_process.pauses.append)
    calls = {"registries": 7, "address": 8, "schedule": 9, "run": 10, "manifest": 11}
    for call, seconds in calls.items():
        in_process.fail(CALLS[call], Reply(status=429, headers={"Retry-After": str(seconds)}))

    assert (BUILT, [*calls.values()]) == (in_process.build(), in_process.pauses)


HTML = Reply(status=200, body=b"<html>sign in to this network</html>", headers={"Content-Type": "text/html"})


NO_JSON = NO_ANSWER.replace(CUT, "Expecting value: line 1 column 1 (char 0)")


BETWEEN = "    Check the network between this machine and the registry, and run the same command again.\n"


NOT_JSON = {
    "subscriptions": NO_JSON.format("list your subscriptions") + NOTHING,
    "address": NO_JSON.format("give an upload URL for the build context") + NOTHING,
    "schedule": NO_JSON.format("start the run") + UNKNOWN,
    "exchange": f"Registry REGISTRY answered a sign-in with something that is not JSON.\n{BETWEEN}{NOTHING}",
    "manifest": f"Registry REGISTRY returned sha256:ID for NAME/candidate@sha256:ID.\n{BETWEEN}{HAS_BUILT}",
    "config": f"Registry REGISTRY returned sha256:ID for the config of NAME/candidate.\n{BETWEEN}{HAS_BUILT}",
}
"""The error of a build if something else answers this request."""


@pytest.mark.parametrize("call", NOT_JSON)
def test_answers_of_a_proxy(in_process: InProcess, call: str) -> None:
    """A page of a proxy is not taken for an answer: exit code 6 if it is for the registry, 7 if it is for Azure."""
    in_process.succeeding()
    in_process.fail(CALLS[call], HTML, times=None)
    runs = ("Succeeded",) if call in {"manifest", "config"} else ()

    code = 6 if call in {"exchange", "manifest", "config"} else 7
    assert Outcome(code=code, message=NOT_JSON[call], runs=runs) == in_process.build()


def test_an_answer_without_an_upload_url(in_process: InProcess) -> None:
    """An answer without an upload URL is an error."""
    in_process.fail(CALLS["address"], Reply(status=200, json=["nothing"]))

    message = "Azure gave no upload URL for the build context.\nNothing was built."
    assert Outcome(code=7, message=message) == in_process.build()
