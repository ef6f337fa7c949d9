"""Errors of Azure Resource Manager as errors of this package."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from azureml_tasks.errors import AzuremlTasksError, RegistryError, RemoteBuildError, connection_failure
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse


class NotFoundError(RegistryError):
    """The resource does not exist (404)."""


class NoAnswerError(RemoteBuildError):
    """Azure did not answer, or with an error of its own: the operation may or may not have been done."""


@dataclass(frozen=True)
class Explanation:
    """A known failure.

    Args:
        why: the cause, to follow "…: ".
        fix: the next step.
        error: the class to raise.
    """

    why: str
    fix: str
    error: type[AzuremlTasksError] = RegistryError


_TASKS_ROLE = 'Ask for the role "Container Registry Tasks Contributor" on the registry'
_LATER = "Run the same command again later."
_NOT_FOUND = Explanation("not found (404)", "Check registry and [tool.azureml-image.acr]", NotFoundError)

# By error code, from
# https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
# and, for ACR Tasks, from Azure/azure-cli issues 27662 and 31605, and Azure/acr issues 627 and 662.
_BY_CODE = {
    "AuthorizationFailed": Explanation("your identity lacks the permission (403)", _TASKS_ROLE),
    "LinkedAuthorizationFailed": Explanation(
        "your identity lacks a permission on a linked resource (403)", _TASKS_ROLE
    ),
    "TasksOperationsNotAllowed": Explanation(
        "the subscription may not use ACR Tasks, for example because it runs on free credits (403)",
        "Ask Azure support to allow ACR Tasks in the subscription\n"
        "or build on a Docker engine: --engine docker",
    ),
    "InvalidAuthenticationToken": Explanation("the token was rejected (401)", "az login"),
    "InvalidAuthenticationTokenTenant": Explanation(
        "the token is from another tenant (401)", "az login --tenant TENANT"
    ),
    "ExpiredAuthenticationToken": Explanation("the token has expired (401)", "az login"),
    "SubscriptionNotFound": Explanation(
        "the subscription does not exist (404)", "az account list --output table", NotFoundError
    ),
    "ResourceGroupNotFound": Explanation(
        "the resource group does not exist (404)",
        "Check resource-group in [tool.azureml-image.acr]",
        NotFoundError,
    ),
    "ResourceNotFound": _NOT_FOUND,
    "AgentPoolNotFound": Explanation(
        "the agent pool does not exist",
        "Check agent-pool in [tool.azureml-image.acr]",
        RemoteBuildError,
    ),
    "TooManyRequests": Explanation("too many requests (429)", _LATER, RemoteBuildError),
    "Conflict": Explanation("another operation is in progress (409)", _LATER, RemoteBuildError),
}
_BY_STATUS = {
    401: Explanation("you are not signed in (401)", "az login"),
    403: Explanation("not permitted (403)", _TASKS_ROLE),
    404: _NOT_FOUND,
    409: _BY_CODE["Conflict"],
    429: _BY_CODE["TooManyRequests"],
}


def error_of_response(response: HttpResponse, action: str) -> AzuremlTasksError:
    """Return the error for a request to do *action*, such as "start the run", that Azure refused.

    The body of such a response is `{"error": {"code": …, "message": …}}`:
    https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors
    """
    status = response.status_code
    code, message = _code_and_message(response)
    other = Explanation(
        f"HTTP {status}",
        _LATER,
        NoAnswerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else RemoteBuildError,
    )
    known = _BY_CODE.get(code) or _BY_STATUS.get(status) or other
    words = ": ".join(part for part in (code, clean(message)) if part)
    said = f"Azure said: {words}" if words else ""
    return known.error(f"Azure refused to {action}: {known.why}.", next_step=known.fix, said=said)


def _code_and_message(response: HttpResponse) -> tuple[str, str]:
    try:
        answer = response.json()
    except ValueError:
        return "", response.text()[:500].strip()
    error = (answer.get("error") or answer) if isinstance(answer, dict) else {}
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("code") or ""), str(error.get("message") or "")


def no_answer(error: Exception, action: str) -> NoAnswerError:
    """Return the error for a request to do *action* that got no answer, after all retries."""
    return NoAnswerError(
        f"Azure did not answer the request to {action}.",
        next_step="Check the network connection, and run the same command again.",
        said=f"the connection failed: {first_line(error)}",
    )


def first_line(error: Exception) -> str:
    """Return why a connection failed; of any other error of Microsoft's libraries, which can fill pages, one line."""
    return next(iter(connection_failure(error).splitlines()), type(error).__name__)
