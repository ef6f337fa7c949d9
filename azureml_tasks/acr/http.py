"""HTTP through azure-core's pipeline: what fails for a moment is asked again, tokens never follow a redirect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from azureml_tasks.errors import HandOffError
from azureml_tasks.terminal import clean

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import SansIOHTTPPolicy
    from azure.core.rest import HttpRequest, HttpResponse

__all__ = ["ask_registry", "client", "first_line", "registry_url"]

_RETRIES: dict[str, Any] = {"retry_total": 4, "retry_backoff_factor": 0.5, "retry_backoff_max": 10}
"""0.5, 1, 2 and 4 s between the tries, or as long as the server says."""
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
    from azure.core.configuration import Configuration
    from azure.core.pipeline.policies import RedirectPolicy, RetryPolicy, UserAgentPolicy

    configuration: Configuration[Any, Any] = Configuration()
    configuration.retry_policy = RetryPolicy(**_RETRIES)
    configuration.redirect_policy = RedirectPolicy(permit_redirects=redirects)
    configuration.user_agent_policy = UserAgentPolicy("azureml-tasks")
    policies: list[SansIOHTTPPolicy[Any, Any]] = [signed] if signed else []
    return PipelineClient(
        url,
        config=configuration,
        per_retry_policies=policies,
        connection_timeout=_CONNECT,
        read_timeout=_READ,
    )


def registry_url(login_server: str) -> str:
    """The address of a login server: https, and plain http for one on this machine alone."""
    return f"{'http' if _LOOPBACK.fullmatch(login_server) else 'https'}://{login_server}"


def ask_registry(login_server: str, request: HttpRequest, *, redirects: bool = True) -> HttpResponse:
    """The whole answer of a login server, whatever its status.

    Raises:
        HandOffError: it does not answer, also when it is asked again.
    """
    from azure.core.exceptions import AzureError

    try:
        with client(registry_url(login_server), redirects=redirects) as pipeline:
            # Read by us: the pipeline itself would take apart what it reads, and knows no blob's media type.
            response: HttpResponse = pipeline.send_request(request, stream=True)
            response.read()
    except AzureError as error:
        said = f"the way to it said: {first_line(error)}"
        fix = "Run the same command again later."
        raise HandOffError(f"Registry {login_server} does not answer.", next_step=fix, said=said) from error
    return response


def first_line(error: Exception) -> str:
    """What an error of Microsoft's libraries says, without the pages that follow."""
    return next(iter(clean(str(error)).splitlines()), type(error).__name__)
