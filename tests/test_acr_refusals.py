"""What Azure says when it refuses, and what we make of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.rest import HttpResponse

from azureml_tasks.engines.acr.azure_errors import UnansweredError, log_refusal, refusal, unanswered
from azureml_tasks.errors import AzuremlTasksError

ROLE = 'Ask for the role "Container Registry Tasks Contributor" on the registry'
LATER = "Run the same command again later."
TABLE = "Look at [tool.azureml-image.acr] and registry"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What Azure answers."""

    status_code: int
    content: str

    def json(self) -> Any:
        """It as JSON."""
        return json.loads(self.content)

    def text(self) -> str:
        """It as it is."""
        return self.content


def refused(status: int, content: str) -> AzuremlTasksError:
    """The error for the run that was asked for."""
    return refusal(cast("HttpResponse", Answer(status_code=status, content=content)), "the run")


def azures(code: str, message: str = "Its own words.") -> str:
    """An error in Azure's form."""
    return json.dumps({"error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("code", "status", "exit_code", "why", "fix"),
    [
        ("AuthorizationFailed", 403, 6, "your identity may not do that (403)", ROLE),
        (
            "LinkedAuthorizationFailed",
            403,
            6,
            "your identity may not use a resource that this needs (403)",
            ROLE,
        ),
        (
            "TasksOperationsNotAllowed",
            403,
            6,
            "the subscription may not run ACR tasks, as those on free credits (403)",
            (
                "Ask Azure's support to allow them for the subscription\n"
                "    or build on this machine: --engine docker"
            ),
        ),
        ("InvalidAuthenticationToken", 401, 6, "the token was not accepted (401)", "az login"),
        (
            "InvalidAuthenticationTokenTenant",
            401,
            6,
            "the token is of another tenant (401)",
            "az login --tenant TENANT",
        ),
        ("ExpiredAuthenticationToken", 401, 6, "the token has expired (401)", "az login"),
        (
            "SubscriptionNotFound",
            404,
            6,
            "the subscription is not known (404)",
            "az account list --output table",
        ),
        (
            "ResourceGroupNotFound",
            404,
            6,
            "the resource group is not known (404)",
            "Look at resource-group in [tool.azureml-image.acr]",
        ),
        ("ResourceNotFound", 404, 6, "it is not there (404)", TABLE),
        (
            "AgentPoolNotFound",
            400,
            7,
            "the agent pool is not there",
            "Look at agent-pool in [tool.azureml-image.acr]",
        ),
        ("TooManyRequests", 429, 7, "too many were asked for (429)", LATER),
        ("Conflict", 409, 7, "something else is being done to it (409)", LATER),
    ],
)
def test_each_code(code: str, status: int, exit_code: int, why: str, fix: str) -> None:
    """A code that is known has its own words, whatever the status is; Azure's stand below."""
    words = f"Azure refused the run: {why}.\n    {fix}\n    Azure said: {code}: Its own words."
    for answered in (status, 400, 500):
        error = refused(answered, azures(code))
        assert (exit_code, words) == (error.exit_code, str(error))


@pytest.mark.parametrize(
    ("status", "exit_code", "why", "fix"),
    [
        (401, 6, "you are not signed in (401)", "az login"),
        (403, 6, "not allowed (403)", ROLE),
        (404, 6, "it is not there (404)", TABLE),
        (409, 7, "something else is being done to it (409)", LATER),
        (429, 7, "too many were asked for (429)", LATER),
        (400, 7, "it answered 400", LATER),
        (301, 7, "it answered 301", LATER),
        (500, 7, "it answered 500", LATER),
        (503, 7, "it answered 503", LATER),
    ],
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (azures("NeverHeardOf"), "\n    Azure said: NeverHeardOf: Its own words."),
        (azures("NeverHeardOf", ""), "\n    Azure said: NeverHeardOf"),
        ('{"code": "NeverHeardOf", "message": "Flat."}', "\n    Azure said: NeverHeardOf: Flat."),
        ('{"error": {"message": "Its own words."}}', "\n    Azure said: Its own words."),
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
def test_each_status(status: int, exit_code: int, why: str, fix: str, content: str, said: str) -> None:
    """Without a known code the status decides; whatever the answer holds is shown as plain, bounded lines."""
    error = refused(status, content)

    assert (exit_code, f"Azure refused the run: {why}.\n    {fix}{said}") == (error.exit_code, str(error))


@pytest.mark.parametrize(
    ("status", "unknown"), [(400, False), (409, False), (429, False), (500, True), (503, True)]
)
def test_whether_it_was_done(status: int, unknown: bool) -> None:
    """An error of a server's own leaves open whether what was asked for was done; a refusal does not."""
    assert unknown == isinstance(refused(status, ""), UnansweredError)


def test_no_answer() -> None:
    """Where nothing answered, the first line of why is shown, and it is open whether anything was done."""
    error = unanswered(ServiceRequestError("Connection refused\nContent: a page\nof it"), "the run")

    expected = """\
Azure did not answer the run.
    Look at the network, and run the same command again.
    the way to it said: Connection refused"""
    assert (7, expected, True) == (error.exit_code, str(error), isinstance(error, UnansweredError))


# A run's log

NETWORK = (
    "Error response from daemon: Get \"https://contoso.azurecr.io/v2/\": denied: client with IP '20.1.2.3' "
    "is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
)
OUTSIDE = """\
Run ca8 failed: the agents of ACR are outside of the registry's network.
    Name a dedicated pool inside it: agent-pool = "…"
    or let tasks in: set networkRuleBypassAllowedForTasks and allow trusted services on the registry
    its log said: LINE"""
AS_YOU = """\
Run ca8 failed: the registry decides by repository who may push, and the run pushes as you.
    Ask for the role "Container Registry Repository Writer" on the registry
    its log said: LINE"""
NO_SOURCE = """\
Run ca8 failed: the run could not read the build context that was sent.
    Run the same command again.
    its log said: LINE"""
MAY_NOT = """\
Run ca8 failed: the run may not push.
    Ask for the role AcrPush on the registry, or "Container Registry Repository Writer"
    its log said: LINE"""
FULL = """\
Run ca8 failed: the disk of the agent is full.
    Name a dedicated pool with a larger one: agent-pool = "…"
    its log said: LINE"""


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
def test_known_words_of_a_log(line: str, exit_code: int, words: str) -> None:
    """What the agent is known to say is explained, with the line that said it."""
    error = log_refusal("ca8", ["before", line, "after"])

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
def test_other_words_of_a_log(line: str) -> None:
    """Nothing is made of words that are not known, nor of what a program may not do to its files."""
    assert log_refusal("ca8", [line]) is None


def test_the_last_known_words_count() -> None:
    """The end of a log says why a run failed, not what went before."""
    error = log_refusal("ca8", ["failed to download source, again", "denied: requested", "the end"])

    assert str(error) == MAY_NOT.replace("LINE", "denied: requested")
    assert log_refusal("ca8", []) is None
