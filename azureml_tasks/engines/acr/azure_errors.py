"""What Azure says when it refuses → our errors; the one place that knows its codes and words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr.http import first_line
from azureml_tasks.errors import AzuremlTasksError, RegistryError, RemoteBuildError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse

__all__ = ["UnansweredError", "log_refusal", "refusal", "unanswered"]

_SERVER = 500  # where the statuses of a server's own errors begin
_TASKS_ROLE = 'the role "Container Registry Tasks Contributor" on the registry'
_LOCALLY = "or build on this machine: --engine docker"


@dataclass(frozen=True)
class _Known:
    what: str
    fix: str
    error: type[AzuremlTasksError] = RegistryError


# By the code of Azure's error: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors,
# and, for tasks, what people were answered: Azure/azure-cli issues 27662, 31605; Azure/acr issues 627, 662.
_CODES = {
    "AuthorizationFailed": _Known("your identity may not do that (403)", f"Ask for {_TASKS_ROLE}"),
    "LinkedAuthorizationFailed": _Known(
        "your identity may not use a resource that this needs (403)", f"Ask for {_TASKS_ROLE}"
    ),
    "TasksOperationsNotAllowed": _Known(
        "the subscription may not run ACR tasks, as those on free credits (403)",
        f"Ask Azure's support to allow them for the subscription\n{_LOCALLY}",
    ),
    "InvalidAuthenticationToken": _Known("the token was not accepted (401)", "az login"),
    "InvalidAuthenticationTokenTenant": _Known(
        "the token is of another tenant (401)", "az login --tenant TENANT"
    ),
    "ExpiredAuthenticationToken": _Known("the token has expired (401)", "az login"),
    "SubscriptionNotFound": _Known("the subscription is not known (404)", "az account list --output table"),
    "ResourceGroupNotFound": _Known(
        "the resource group is not known (404)", "Look at resource-group in [tool.azureml-image.acr]"
    ),
    "ResourceNotFound": _Known("it is not there (404)", "Look at [tool.azureml-image.acr] and registry"),
    "AgentPoolNotFound": _Known(
        "the agent pool is not there", "Look at agent-pool in [tool.azureml-image.acr]", RemoteBuildError
    ),
    "TooManyRequests": _Known(
        "too many were asked for (429)", "Run the same command again later.", RemoteBuildError
    ),
    "Conflict": _Known(
        "something else is being done to it (409)", "Run the same command again later.", RemoteBuildError
    ),
}

_STATUSES = {
    401: _Known("you are not signed in (401)", "az login"),
    403: _Known("not allowed (403)", f"Ask for {_TASKS_ROLE}"),
    404: _Known("it is not there (404)", "Look at [tool.azureml-image.acr] and registry"),
    409: _CODES["Conflict"],
    429: _CODES["TooManyRequests"],
}


class UnansweredError(RemoteBuildError):
    """Azure did not answer, or with an error of its own: what was asked for may have been done or not."""


_OTHER = _Known("", "Run the same command again later.", RemoteBuildError)
_BROKEN = _Known("", "Run the same command again later.", UnansweredError)


def refusal(response: HttpResponse, what: str) -> AzuremlTasksError:
    """The error for *what* (such as "the upload's address") that Azure answered with a refusal.

    Azure's form of an error is `{"error": {"code": …, "message": …}}`:
    https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors
    """
    code, message = _error(response)
    known = _CODES.get(code) or _STATUSES.get(
        response.status_code, _BROKEN if response.status_code >= _SERVER else _OTHER
    )
    why = known.what or f"it answered {response.status_code}"
    words = ": ".join(part for part in (code, clean(message)) if part)
    said = f"Azure said: {words}" if words else ""
    return known.error(f"Azure refused {what}: {why}.", next_step=known.fix, said=said)


def _error(response: HttpResponse) -> tuple[str, str]:
    try:
        found = response.json()
    except ValueError:
        return "", response.text()[:500].strip()
    error = (found.get("error") or found) if isinstance(found, dict) else {}
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("code") or ""), str(error.get("message") or "")


def unanswered(error: Exception, what: str) -> UnansweredError:
    """The error for *what* that Azure did not answer at all, also when it was asked again."""
    return UnansweredError(
        f"Azure did not answer {what}.",
        next_step="Look at the network, and run the same command again.",
        said=f"the way to it said: {first_line(error)}",
    )


# By what a run's log says: Azure/acr-builder, and Azure/acr issues 627, 662 and 762.
_LOG = (
    (
        re.compile(r"client with IP .* is not allowed access", re.IGNORECASE),
        _Known(
            "the agents of ACR are outside of the registry's network",
            'Name a dedicated pool inside it: agent-pool = "…"\n'
            "or let tasks in: set networkRuleBypassAllowedForTasks and allow trusted services on the registry",
        ),
    ),
    (
        re.compile(r"at least one credential is required", re.IGNORECASE),
        _Known(
            "the registry decides by repository who may push, and the run pushes as you",
            'Ask for the role "Container Registry Repository Writer" on the registry',
        ),
    ),
    (
        re.compile(r"failed to download source|failed to unpack", re.IGNORECASE),
        _Known(
            "the run could not read the build context that was sent",
            "Run the same command again.",
            RemoteBuildError,
        ),
    ),
    (
        re.compile(
            r"(?<!permission )\b(unauthorized|denied)\b|insufficient_scope",
            re.IGNORECASE,
        ),
        _Known(
            "the run may not push",
            'Ask for the role AcrPush on the registry, or "Container Registry Repository Writer"',
        ),
    ),
    (
        re.compile(r"no space left on device", re.IGNORECASE),
        _Known(
            "the disk of the agent is full",
            'Name a dedicated pool with a larger one: agent-pool = "…"',
            RemoteBuildError,
        ),
    ),
)


def log_refusal(run: str, lines: list[str]) -> AzuremlTasksError | None:
    """The error that a failed run's last *lines* explain, where they are known words."""
    for line in reversed(lines):
        for pattern, known in _LOG:
            if pattern.search(line):
                return known.error(
                    f"Run {run} failed: {known.what}.", next_step=known.fix, said=f"its log said: {line}"
                )
    return None
