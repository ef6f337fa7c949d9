"""A client of Azure Resource Manager on azure-core's pipeline.

Microsoft's package for these operations (azure-mgmt-containerregistrytasks) is a beta of 6 MB that takes 0.4 s to
import, and its predecessors dropped them twice. Five calls of a documented protocol need only azure-core's retries
and sign-in.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azureml_tasks.engines.acr.azure_errors import error_of_response, no_answer
from azureml_tasks.engines.acr.credentials import sign_in_error, token_scope
from azureml_tasks.engines.acr.waiting import patient_transport, seconds_asked, wait
from azureml_tasks.errors import RemoteBuildError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

    from azureml_tasks.engines.acr.clouds import Cloud

_RETRIES: dict[str, Any] = {"retry_total": 3, "retry_backoff_factor": 0.5, "retry_backoff_max": 10}
"""Three retries: at once, after 1 s and after 2 s, or when the server says; see `waiting`."""
_REPEATABLE: dict[str, Any] = {"retry_on_methods": frozenset({"GET", "POST"})}
"""For requests that may be repeated; by default the pipeline does not repeat a POST whose connection broke."""
_TIMEOUTS: dict[str, float] = {"connection_timeout": 30, "read_timeout": 60}
"""Seconds to connect, and without a byte of an answer."""
_ATTEMPTS = 4
_PAUSE = 2.0
"""Seconds before an attempt if Azure does not say when."""
_NOT_STARTED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""Statuses that mean that nothing was done, so that a request which must not be done twice can be repeated."""


@dataclass(frozen=True, kw_only=True)
class ArmClient:
    """A client for one signed-in identity.

    In every method *version* is the API version, and *action* says in an error what was requested, such as
    "cancel run ca8". Every method raises:

        NotFoundError: Azure answers 404.
        RegistryError: not signed in, or not permitted.
        RemoteBuildError: Azure does not answer, or with an error of its own.
    """

    pipeline: PipelineClient[Any, Any]
    url: str
    say: Callable[[str], None]

    def get(self, path: str, version: str, action: str) -> dict[str, Any]:
        """Return the resource at *path*."""
        return _json(self._send("GET", path, version, action, None, **_REPEATABLE), action)

    def post(self, path: str, version: str, action: str) -> dict[str, Any]:
        """Request an operation that can be repeated."""
        return _json(self._send("POST", path, version, action, None, **_REPEATABLE), action)

    def post_once(self, path: str, version: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Request an operation that must not be done twice; repeat it only if Azure says that nothing was done."""
        response = self._send("POST", path, version, action, body, retry_total=0)
        for _ in range(_ATTEMPTS - 1):
            if response.status_code not in _NOT_STARTED:
                break
            seconds = seconds_asked(response.headers)
            wait(_PAUSE if seconds is None else seconds, self.say)
            response = self._send("POST", path, version, action, body, retry_total=0)
        return _json(response, action)

    def list_all(self, path: str, version: str, action: str) -> list[dict[str, Any]]:
        """Return every item of a list, from all its pages."""
        page = self.get(path, version, action)
        items = list(page.get("value", []))
        while link := page.get("nextLink"):
            host, other_host = urlsplit(self.url).netloc, urlsplit(link).netloc
            if host != other_host:
                raise RemoteBuildError(
                    f"Azure's answer to the request to {action} continues on another host.",
                    next_step="No token was sent there. Check the network between this machine and Azure.",
                    said=f"its next page is on {other_host}, not on {host}",
                )
            page = self.get(link, "", action)
            items += page.get("value", [])
        return items

    def _send(
        self, method: str, path: str, version: str, action: str, body: dict[str, Any] | None, **options: Any
    ) -> HttpResponse:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.core.rest import HttpRequest

        url = path if "://" in path else self.url + path
        request = HttpRequest(method, url, params={"api-version": version} if version else {}, json=body)
        try:
            response: HttpResponse = self.pipeline.send_request(request, **options)
        except ClientAuthenticationError as error:
            raise sign_in_error(error) from error
        except AzureError as error:
            raise no_answer(error, action) from error
        return response


def connect(cloud: Cloud, credential: TokenCredential, say: Callable[[str], None]) -> ArmClient:
    """Return a client of the cloud's Azure Resource Manager; tokens are sent to this host only.

    Args:
        cloud: whose Azure Resource Manager.
        credential: gives the tokens.
        say: takes what a wait is for.
    """
    from azure.core import PipelineClient
    from azure.core.pipeline import policies

    class Retries(policies.RetryPolicy[Any, Any]):
        def get_retry_after(self, response: Any) -> float | None:
            # The library's own fails at what is neither a number nor a date.
            return seconds_asked(response.http_response.headers)

    url = cloud.resource_manager
    # The default policies, without those that would follow a redirect with a body, which can contain build secrets.
    pipeline: PipelineClient[Any, Any] = PipelineClient(
        url,
        policies=[
            policies.UserAgentPolicy("azureml-tasks"),
            Retries(**_RETRIES),
            policies.BearerTokenCredentialPolicy(credential, token_scope(cloud.resource_manager)),
        ],
        transport=patient_transport(say, **_TIMEOUTS),
    )
    return ArmClient(pipeline=pipeline, url=url, say=say)


def _json(response: HttpResponse, action: str) -> dict[str, Any]:
    if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
        raise error_of_response(response, action)
    try:
        answer = response.json() if response.content else {}
    except ValueError as error:
        raise no_answer(error, action) from error
    return answer if isinstance(answer, dict) else {}
