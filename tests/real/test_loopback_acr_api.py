"""The APIs of the loopback of Azure Container Registry."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
import requests

from tests.machine.acr import faults
from tests.machine.acr.azure_state import TENANT
from tests.machine.acr.loopback import Acr
from tests.real.acr import Wire


def test_a_refresh_token_gives_access_to_several_repositories(
    acr: Acr,
    wire: Wire,
) -> None:
    """Scopes may be repeated or in one string, and what the caller may not do is left out of the token."""
    acr.settings.caller_actions = {"a": frozenset({"pull", "push"}), "b": frozenset({"pull"})}
    sent = {
        "grant_type": "refresh_token",
        "service": acr.login_server,
        "refresh_token": wire.refresh_token(),
        "scope": ["repository:a:pull,push", "repository:b:pull,push repository:c:pull"],
    }
    answer = wire.session.post(f"http://{acr.login_server}/oauth2/token", data=sent)
    claims = _claims(answer.json()["access_token"])
    assert claims["access"] == [
        {"type": "repository", "name": "a", "actions": ["pull", "push"]},
        {"type": "repository", "name": "b", "actions": ["pull"]},
    ]
    assert claims["aud"] == acr.login_server


@pytest.mark.parametrize("audience", ["https://management.azure.com", "https://vault.azure.net"])
def test_a_registry_takes_tokens_for_registries_alone(wire: Wire, audience: str) -> None:
    """A hardened registry refuses tokens of Azure Resource Manager, as those of anything else."""
    assert 401 == wire.exchange(audience).status_code


def test_an_expired_refresh_token_gives_nothing(
    acr: Acr,
    wire: Wire,
) -> None:
    """The registry sends a client with an old refresh token to sign in again."""
    sent = {"grant_type": "refresh_token", "service": acr.login_server, "refresh_token": wire.refresh_token()}
    acr.expire_tokens()
    answer = wire.session.post(f"http://{acr.login_server}/oauth2/token", data=sent)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")


def test_the_registry_says_where_its_tokens_are(
    acr: Acr,
    wire: Wire,
) -> None:
    """Without a token `/v2/` is refused with the challenge by which clients find the token endpoint."""
    answer = wire.session.get(f"http://{acr.login_server}/v2/")
    realm = f"http://{acr.login_server}/oauth2/token"
    challenge = f'Bearer realm="{realm}",service="{acr.login_server}"'
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        pytest.param(
            {"foo": 1},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Could not find member 'foo' on "
            "object of type 'DockerBuildRequest'. Path 'foo', line 1.'.",
            id="a member that is unknown",
        ),
        pytest.param(
            {"platform": {"os": "linux", "arch": "amd64"}},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Could not find member 'arch' on "
            "object of type 'platform'. Path 'platform.arch', line 1.'.",
            id="one inside another",
        ),
        pytest.param(
            {"noCache": "yes"},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Error converting value 'yes' to "
            "type 'bool'. Path 'noCache', line 1.'.",
            id="a value of another type",
        ),
        pytest.param(
            {"timeout": 299},
            "InvalidParameter",
            "The run timeout 299 is invalid. It must be between 300 and 28800 seconds.",
            id="a timeout that is too short",
        ),
        pytest.param(
            {"dockerFilePath": None},
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'Required property "
            "'dockerFilePath' not found in JSON of type 'DockerBuildRequest'. Path ''.'.",
            id="a member that is missing",
        ),
        pytest.param(
            {"agentConfiguration": {"cpu": 4}},
            "InvalidParameter",
            "The CPU count 4 is invalid. The supported values are (2).",
            id="another agent",
        ),
    ],
)
def test_requests_are_read_strictly(
    wire: Wire,
    changed: dict[str, Any],
    code: str,
    words: str,
) -> None:
    """What a run request may not say is refused by name, and no run is made."""
    before = len(wire.acr.runs)
    answer = wire.arm("POST", "scheduleRun", json={**wire.build_request("source/x"), **changed})
    assert (answer.status_code, answer.json()) == (400, {"error": {"code": code, "message": words}})
    assert len(wire.acr.runs) == before


def test_calls_without_a_good_token_are_refused(
    acr: Acr,
    wire: Wire,
) -> None:
    """A token of another audience, an unknown one and an expired one are told apart, each with a challenge."""
    wrong = wire.arm(
        "GET", "/subscriptions", token=wire.token("https://vault.azure.net"), version="2022-12-01"
    )
    unknown = wire.arm("GET", "/subscriptions", token="x.y.z", version="2022-12-01")  # noqa: S106 -- no token of anybody's
    token = wire.token()
    acr.expire_tokens()
    expired = wire.arm("GET", "/subscriptions", token=token, version="2022-12-01")
    codes = [(each.status_code, each.json()["error"]["code"]) for each in (wrong, unknown, expired)]
    assert codes == [
        (401, "InvalidAuthenticationTokenAudience"),
        (401, "InvalidAuthenticationToken"),
        (401, "ExpiredAuthenticationToken"),
    ]
    challenge = expired.headers["WWW-Authenticate"]
    assert challenge.startswith(f'Bearer authorization_uri="{acr.directory}/{TENANT}", error="invalid_token"')


def test_an_interface_version_that_is_not_there_is_refused(wire: Wire) -> None:
    """Resource Manager names the versions that there are."""
    answer = wire.arm("GET", f"{wire.acr.registry.id}", version="1999-01-01")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "NoRegisteredProviderFound")


def test_lists_come_in_pages(
    acr: Acr,
    wire: Wire,
) -> None:
    """The main registry is not on the first page of anything, so that a client has to turn them."""
    token = wire.token()

    def all_of(path: str, version: str) -> list[list[str]]:
        url, pages = f"{acr.resource_manager}{path}?api-version={version}", []
        while url:
            page = wire.session.get(url, headers={"Authorization": f"Bearer {token}"}).json()
            pages.append([item.get("subscriptionId") or item["name"] for item in page["value"]])
            url = page.get("nextLink")
        return pages

    subscriptions = all_of("/subscriptions", "2022-12-01")
    assert subscriptions == [["55555555-eeee-4eee-8eee-555555555555"], [acr.subscription]]
    path = f"/subscriptions/{acr.subscription}/providers/Microsoft.ContainerRegistry/registries"
    assert all_of(path, "2025-04-01") == [["sharedregistry"], ["loopbackregistry"]]


def test_what_the_caller_may_not_do_is_refused_by_name(
    acr: Acr,
    wire: Wire,
) -> None:
    """A missing permission is a 403 that names action and scope; a subscription may be barred from tasks."""
    action = "Microsoft.ContainerRegistry/registries/scheduleRun/action"
    acr.settings.denied = {action}
    denied = wire.arm("POST", "scheduleRun", json=wire.build_request("source/x"))
    acr.settings.denied = set()
    acr.settings.tasks_allowed = False
    barred = wire.arm("POST", "listBuildSourceUploadUrl")
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert f"perform action '{action}' over scope '{acr.registry.id}'" in denied.json()["error"]["message"]
    assert (barred.status_code, barred.json()["error"]["code"]) == (403, "TasksOperationsNotAllowed")


def test_a_storage_url_grants_one_blob_for_a_while(
    acr: Acr,
    wire: Wire,
) -> None:
    """The storage itself refuses another signature, another blob, another permission and another time."""
    good = wire.arm("POST", "listBuildSourceUploadUrl").json()["uploadUrl"]
    acr.settings.upload_seconds = -60
    old = wire.arm("POST", "listBuildSourceUploadUrl").json()["uploadUrl"]
    headers = {"x-ms-blob-type": "BlockBlob"}

    def put(url: str) -> int:
        return wire.session.put(url, data=b"x", headers=headers).status_code

    forged = re.sub("sig=[^&]{8}", "sig=AAAAAAAA", good)
    elsewhere = good.replace(".tar.gz?", "-2.tar.gz?")
    assert [put(forged), put(elsewhere), put(old), put(good)] == [403, 403, 403, 201]
    assert wire.session.get(good).status_code == 403


def test_faults_strike_as_often_as_they_shall(
    acr: Acr,
    wire: Wire,
) -> None:
    """An answer can be replaced, cut, or held, a request cut, and afterwards all is as before."""
    error = {"error": {"code": "TooManyRequests", "message": "wait"}}
    throttled = faults.Reply(status=429, json=error, headers={"Retry-After": "0"})
    fault = acr.faults.add("POST .*/listBuildSourceUploadUrl", throttled, times=2)
    answers = [wire.arm("POST", "listBuildSourceUploadUrl") for _ in range(3)]
    assert [each.status_code for each in answers] == [429, 429, 200]
    assert (answers[0].json(), answers[0].headers["Retry-After"], fault.hits) == (error, "0", 2)
    url = answers[2].json()["uploadUrl"]
    acr.faults.add("PUT /acrtasks/", faults.CutRequest(after=100_000))
    headers = {"x-ms-blob-type": "BlockBlob"}
    with pytest.raises(requests.ConnectionError):
        wire.session.put(url, data=b"x" * 10_000_000, headers=headers)
    assert wire.session.put(url, data=b"x", headers=headers).status_code == 201
    acr.faults.add(lambda front, _: front == "arm", faults.CutAnswer(after=10))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        wire.arm("GET", "/subscriptions", version="2022-12-01")
    assert wire.arm("GET", "/subscriptions", version="2022-12-01").status_code == 200


def test_unused_names_are_not_found(wire: Wire) -> None:
    """What is not there is a 404 that says which part is not."""
    main = wire.acr.registry
    paths = {
        "SubscriptionNotFound": main.id.replace(main.subscription, "66666666-ffff-4fff-8fff-666666666666"),
        "ResourceGroupNotFound": main.id.replace(main.resource_group, "nobody"),
        "ResourceNotFound": main.id.replace(main.name, "nothing"),
    }
    answers = {code: wire.arm("GET", path, version="2025-04-01") for code, path in paths.items()}
    assert {
        answer.json()["error"]["code"]: answer.status_code for answer in answers.values()
    } == dict.fromkeys(paths, 404)


def test_a_workspace_names_its_registry_or_none(
    acr: Acr,
    wire: Wire,
) -> None:
    """A workspace has no registry before its first image is built."""
    path = f"{acr.registry.group_id}/providers/Microsoft.MachineLearningServices/workspaces/{acr.workspace}"
    before = wire.arm("GET", path, version="2024-10-01").json()
    acr.settings.workspace_registry = acr.registry.id
    after = wire.arm("GET", path, version="2024-10-01").json()
    assert before["properties"]["containerRegistry"] is None
    assert after["properties"]["containerRegistry"] == acr.registry.id


def _claims(token: str) -> Any:
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
