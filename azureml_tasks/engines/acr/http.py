"""HTTP through azure-core's pipeline: what fails for a moment is asked again, tokens never follow a redirect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import RemoteBuildError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.rest import HttpRequest, HttpResponse

__all__ = ["AGAIN", "ask_registry", "client", "first_line", "registry_url"]

_RETRIES: dict[str, Any] = {"retry_total": 3, "retry_backoff_factor": 0.5, "retry_backoff_max": 10}
"""Three more tries: at once, after 1 s and after 2 s, or when the server says."""
AGAIN: dict[str, Any] = {"retry_on_methods": frozenset({"DELETE", "GET", "HEAD", "POST", "PUT"})}
"""For a request that may be done twice; of its own accord the pipeline does not repeat a POST that was cut off."""
_TOO_MANY, _SERVER = 429, 500  # the status, and where those of a server's own errors begin
_CONNECT, _READ = 30, 60
"""Seconds for a connection, and without a byte of an answer."""
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")


def client(url: str, *, signed: Any = None, redirects: bool = True) -> PipelineClient[Any, Any]:
    """A client for *url*.

    Args:
        url: scheme and host.
        signed: a policy that signs each try.
        redirects: whether an answer may name another address; a signature stays behind then.
    """
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import (
        RedirectPolicy,
        RetryPolicy,
        SensitiveHeaderCleanupPolicy,
        UserAgentPolicy,
    )

    # The default ones, without the one that takes answers apart: it knows no blob's media type.
    policies: list[Any] = [
        UserAgentPolicy("azureml-tasks"),
        RedirectPolicy(permit_redirects=redirects),
        RetryPolicy(**_RETRIES),
        *([signed] if signed else []),
        SensitiveHeaderCleanupPolicy(),
    ]
    return PipelineClient(url, policies=policies, connection_timeout=_CONNECT, read_timeout=_READ)


def registry_url(login_server: str) -> str:
    """The address of a login server: https, and plain http for one on this machine alone."""
    return f"{'http' if _LOOPBACK.fullmatch(login_server) else 'https'}://{login_server}"


def ask_registry(login_server: str, request: HttpRequest, *, redirects: bool = True) -> HttpResponse:
    """The whole answer of a login server, also one that refuses; everything that we ask may be done twice.

    Raises:
        HandOffError: it does not answer, has an error of its own or too much to do, also when it is asked again.
    """
    from azure.core.exceptions import AzureError

    fix = "Run the same command again later."
    try:
        with client(registry_url(login_server), redirects=redirects) as pipeline:
            response: HttpResponse = pipeline.send_request(request, **AGAIN)
    except AzureError as error:
        said = f"the way to it said: {first_line(error)}"
        raise RemoteBuildError(
            f"Registry {login_server} does not answer.", next_step=fix, said=said
        ) from error
    if response.status_code == _TOO_MANY or response.status_code >= _SERVER:
        what = f"Registry {login_server} answers {response.status_code}, also when it is asked again."
        said = f"the registry said: {clean(response.text()[:500])}" if response.content else ""
        raise RemoteBuildError(what, next_step=fix, said=said)
    return response


def first_line(error: Exception) -> str:
    """What an error of Microsoft's libraries says, without the pages that follow."""
    return next(iter(clean(str(error)).splitlines()), type(error).__name__)
