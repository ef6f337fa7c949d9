"""Tokens are sent to no other host."""

from __future__ import annotations

import pytest

from tests.machine.acr.faults import Reply
from tests.real.in_process import InProcess, Outcome
from tests.real.remote_build_faults import (
    BUILT,
    CALLS,
    LATER,
)


def test_a_list_continues_on_another_host(in_process: InProcess) -> None:
    """The next page of a list is not requested from another host."""
    link = f"{in_process.acr.directory}/subscriptions"
    in_process.fail(CALLS["subscriptions"], Reply(status=200, json={"value": [], "nextLink": link}))

    message = """\
Azure's answer to the request to list your subscriptions continues on another host.
    No token was sent there. Check the network between this machine and Azure.
    its next page is on 127.0.0.1:PORT, not on 127.0.0.1:PORT
Nothing was built."""
    assert Outcome(code=7, message=message) == in_process.build()
    assert [] == [
        request
        for request in in_process.acr.requests
        if request.endpoint == "aad" and request.path == "/subscriptions"
    ]


def test_a_challenge_names_another_host(in_process: InProcess) -> None:
    """No token is sent if the challenge of a registry names another host."""
    elsewhere = 'Bearer realm="http://127.0.0.1:9/oauth2/token",service="REGISTRY"'
    in_process.fail(CALLS["challenge"], Reply(status=401, headers={"WWW-Authenticate": elsewhere}))

    message = """\
Registry REGISTRY names another address for sign-in: http://127.0.0.1:PORT/oauth2/token.
    No credentials were sent. Check the network between this machine and the registry.
Nothing was built."""
    assert Outcome(code=6, message=message) == in_process.build()
    assert [("GET", "/v2/", False)] == [
        (request.method, request.path, request.bearer)
        for request in in_process.acr.requests
        if request.endpoint == "registry"
    ]


def test_a_registry_outside_azure(in_process: InProcess) -> None:
    """A registry with basic authentication is not an Azure container registry: exit code 6."""
    in_process.fail(CALLS["challenge"], Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}))

    message = """\
Registry REGISTRY does not accept a sign-in of Azure.
    Check registry: it must be an Azure container registry.
Nothing was built."""
    assert Outcome(code=6, message=message) == in_process.build()


def test_a_redirected_blob(in_process: InProcess) -> None:
    """The redirect of a blob is followed without the token."""
    in_process.succeeding()
    in_process.fail(
        CALLS["config"], Reply(status=307, headers={"Location": f"{in_process.acr.identity}/elsewhere"})
    )
    in_process.fail(r"GET /elsewhere$", Reply(status=200, body=in_process.config))

    assert BUILT == in_process.build()
    assert [("/elsewhere", False)] == [
        (request.path, request.bearer)
        for request in in_process.acr.requests
        if request.endpoint == "identity"
    ]


@pytest.mark.parametrize("status", [302, 307, 308])
def test_redirects_of_azure(in_process: InProcess, status: int) -> None:
    """Redirects of Azure Resource Manager are not followed."""
    where = f"{in_process.acr.directory}/elsewhere"
    in_process.fail(CALLS["schedule"], Reply(status=status, headers={"Location": where}), times=None)

    message = f"Azure refused to start the run: HTTP {status}.\n{LATER}Nothing was built."
    assert Outcome(code=7, message=message) == in_process.build()
    assert [] == [request for request in in_process.acr.requests if request.path == "/elsewhere"]


@pytest.mark.parametrize("call", ["exchange", "registry token"])
def test_redirects_of_a_sign_in(in_process: InProcess, call: str) -> None:
    """Redirects of a sign-in are not followed."""
    in_process.fail(
        CALLS[call], Reply(status=307, headers={"Location": f"{in_process.acr.identity}/elsewhere"})
    )

    message = f"""\
Registry REGISTRY refused the sign-in (307).
    az acr login --name {in_process.acr.name}
    It needs the role AcrPull or AcrPush, or a repository role, on the registry.
Nothing was built."""
    assert Outcome(code=6, message=message) == in_process.build()
    assert [] == [request for request in in_process.acr.requests if request.path == "/elsewhere"]
