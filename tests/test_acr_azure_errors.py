"""Errors of Azure Resource Manager."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.rest import HttpResponse

from azureml_tasks.engines.acr.azure_errors import NoAnswerError, NotFoundError, error_of_response, no_answer
from azureml_tasks.errors import AzuremlTasksError

ROLE = 'Ask for the role "Container Registry Tasks Contributor" on the registry'
LATER = "Run the same command again later."
TABLE = "Check registry and [tool.azureml-image.acr]"


@dataclass(frozen=True, kw_only=True)
class FakeResponse:
    """A response of Azure."""

    status_code: int
    content: str

    def json(self) -> Any:
        """Return the body, parsed."""
        return json.loads(self.content)

    def text(self) -> str:
        """Return the body."""
        return self.content


def error_of(status: int, content: str) -> AzuremlTasksError:
    """Return the error of a response to the request to start a run."""
    response = cast("HttpResponse", FakeResponse(status_code=status, content=content))
    return error_of_response(response, "start the run")


def body(code: str, message: str = "Azure's message.") -> str:
    """Return the body of an error response."""
    return json.dumps({"error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("code", "status", "exit_code", "why", "fix"),
    [
        ("AuthorizationFailed", 403, 6, "your identity lacks the permission (403)", ROLE),
        (
            "LinkedAuthorizationFailed",
            403,
            6,
            "your identity lacks a permission on a linked resource (403)",
            ROLE,
        ),
        (
            "TasksOperationsNotAllowed",
            403,
            6,
            "the subscription may not use ACR Tasks, for example because it runs on free credits (403)",
            (
                "Ask Azure support to allow ACR Tasks in the subscription\n"
                "    or build on a Docker engine: --engine docker"
            ),
        ),
        ("InvalidAuthenticationToken", 401, 6, "the token was rejected (401)", "az login"),
        (
            "InvalidAuthenticationTokenTenant",
            401,
            6,
            "the token is from another tenant (401)",
            "az login --tenant TENANT",
        ),
        ("ExpiredAuthenticationToken", 401, 6, "the token has expired (401)", "az login"),
        (
            "SubscriptionNotFound",
            404,
            6,
            "the subscription does not exist (404)",
            "az account list --output table",
        ),
        (
            "ResourceGroupNotFound",
            404,
            6,
            "the resource group does not exist (404)",
            "Check resource-group in [tool.azureml-image.acr]",
        ),
        ("ResourceNotFound", 404, 6, "not found (404)", TABLE),
        (
            "AgentPoolNotFound",
            400,
            7,
            "the agent pool does not exist",
            "Check agent-pool in [tool.azureml-image.acr]",
        ),
        ("TooManyRequests", 429, 7, "too many requests (429)", LATER),
        ("Conflict", 409, 7, "another operation is in progress (409)", LATER),
    ],
)
def test_known_error_codes(code: str, status: int, exit_code: int, why: str, fix: str) -> None:
    """A known error code has its own message whatever the status is, followed by Azure's message."""
    expected = f"Azure refused to start the run: {why}.\n    {fix}\n    Azure said: {code}: Azure's message."
    for any_status in (status, 400, 500):
        error = error_of(any_status, body(code))
        assert (exit_code, expected) == (error.exit_code, str(error))


@pytest.mark.parametrize(
    ("status", "exit_code", "why", "fix"),
    [
        (401, 6, "you are not signed in (401)", "az login"),
        (403, 6, "not permitted (403)", ROLE),
        (404, 6, "not found (404)", TABLE),
        (409, 7, "another operation is in progress (409)", LATER),
        (429, 7, "too many requests (429)", LATER),
        (400, 7, "HTTP 400", LATER),
        (301, 7, "HTTP 301", LATER),
        (500, 7, "HTTP 500", LATER),
        (503, 7, "HTTP 503", LATER),
    ],
)
@pytest.mark.parametrize(
    ("content", "quote"),
    [
        (body("NeverHeardOf"), "\n    Azure said: NeverHeardOf: Azure's message."),
        (body("NeverHeardOf", ""), "\n    Azure said: NeverHeardOf"),
        ('{"code": "NeverHeardOf", "message": "Flat."}', "\n    Azure said: NeverHeardOf: Flat."),
        ('{"error": {"message": "Azure\'s message."}}', "\n    Azure said: Azure's message."),
        ('{"error": {"code": null, "message": null}}', ""),
        ('{"error": null}', ""),
        ('{"error": "invalid_client"}', "\n    Azure said: invalid_client"),
        ("{}", ""),
        ("[1]", ""),
        ("", ""),
        ("<html>\n<h1>Gateway\x1b[2J</h1>\n", "\n    Azure said: <html>\n    <h1>Gateway</h1>"),
        ("x" * 600, "\n    Azure said: " + "x" * 500),
    ],
    ids=[
        *("unknown code", "no message", "flat", "no code", "null in it", "null", "a string", "empty object"),
        *("a list", "nothing", "HTML", "long text"),
    ],
)
def test_each_status(status: int, exit_code: int, why: str, fix: str, content: str, quote: str) -> None:
    """Without a known error code the status decides; any body is shown as plain text of limited length."""
    error = error_of(status, content)

    expected = f"Azure refused to start the run: {why}.\n    {fix}{quote}"
    assert (exit_code, expected) == (error.exit_code, str(error))


@pytest.mark.parametrize(
    ("status", "unknown"), [(400, False), (409, False), (429, False), (500, True), (503, True)]
)
def test_whether_it_was_done_is_unknown_after_a_server_error(status: int, unknown: bool) -> None:
    """After an error of the server it is unknown whether the operation was done; after a refusal it was not."""
    assert unknown == isinstance(error_of(status, ""), NoAnswerError)


@pytest.mark.parametrize(
    ("status", "content", "not_found"),
    [
        (404, "", True),
        (404, body("NeverHeardOf"), True),
        (404, body("ResourceNotFound"), True),
        (404, body("ResourceGroupNotFound"), True),
        (404, body("SubscriptionNotFound"), True),
        (403, body("AuthorizationFailed"), False),
        (500, "", False),
    ],
)
def test_what_does_not_exist_has_its_own_class(status: int, content: str, not_found: bool) -> None:
    """A search in several subscriptions goes on after a 404, and after no other error."""
    assert not_found == isinstance(error_of(status, content), NotFoundError)


def test_a_refused_connection() -> None:
    """Of an error of Microsoft's libraries the system's reason is shown."""
    cause = ConnectionError("a page about hosts and retries")
    cause.__cause__ = ConnectionRefusedError(111, "Connection refused")

    error = no_answer(ServiceRequestError("another page", error=cause), "start the run")

    assert error.said == "the connection failed: Connection refused"


def test_no_answer() -> None:
    """If there is no answer, the first line of the cause is shown."""
    error = no_answer(ServiceRequestError("Connection refused\nContent: a page\nof it"), "start the run")

    expected = """\
Azure did not answer the request to start the run.
    Check the network connection, and run the same command again.
    the connection failed: Connection refused"""
    assert (7, expected, True) == (error.exit_code, str(error), isinstance(error, NoAnswerError))
