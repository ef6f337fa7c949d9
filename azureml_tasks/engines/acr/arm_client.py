"""Azure Resource Manager, asked through azure-core's pipeline.

Microsoft's package of the tasks' operations (azure-mgmt-containerregistrytasks) is a beta, takes 0.4 s to
import and 6 MB, and its predecessors dropped these operations twice; five calls of a documented protocol
need no more than the pipeline below it, whose retries and sign-in they share.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azureml_tasks.engines.acr.azure_errors import refusal, unanswered
from azureml_tasks.engines.acr.credentials import not_signed_in, scope
from azureml_tasks.engines.acr.http import AGAIN, client
from azureml_tasks.errors import AzuremlTasksError, RemoteBuildError

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

    from azureml_tasks.engines.acr.clouds import Cloud

__all__ = ["NotThere", "ResourceManager", "connect"]

_TRIES = 4
_LATER = {429, 503}
"""Answers that say that nothing was done, so that what must not be done twice may be asked again too."""


class NotThere(Exception):
    """What was asked for does not exist (404); the error says it in words."""

    def __init__(self, error: AzuremlTasksError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, kw_only=True)
class ResourceManager:
    """The resource manager of a cloud, for one signed-in identity."""

    client: PipelineClient[Any, Any]
    url: str

    def get(self, path: str, version: str, what: str) -> dict[str, Any]:
        """Ask for the resource at *path*, of the API *version*; *what* names it in an error.

        Raises:
            NotThere: it does not exist.
            RegistryError: not signed in, or not allowed.
            HandOffError: Azure does not answer, or answers with something else.
        """
        return self._answer("GET", path, version, what, None)

    def post(self, path: str, version: str, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask for an action that may be asked for twice; errors as of `get`."""
        return self._answer("POST", path, version, what, body)

    def post_once(self, path: str, version: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for an action that must not be done twice: again only where the answer says that nothing was done."""
        response = self._send("POST", path, version, what, body, retry_total=0)
        for _ in range(_TRIES - 1):
            if response.status_code not in _LATER:
                break
            time.sleep(_retry_after(response))  # The server said when; nothing else tells.
            response = self._send("POST", path, version, what, body, retry_total=0)
        return self._read(response, what)

    def pages(self, path: str, version: str, what: str) -> list[dict[str, Any]]:
        """Every item of a list that comes page by page; errors as of `get`."""
        page = self.get(path, version, what)
        items = list(page.get("value", []))
        while link := page.get("nextLink"):
            if urlsplit(link).netloc != urlsplit(self.url).netloc:
                said = f"its next page is at {urlsplit(link).netloc}, another host than {urlsplit(self.url).netloc}"
                fix = "No token was sent there. Look at the network between here and Azure."
                raise RemoteBuildError(f"Azure did not answer {what} alone.", next_step=fix, said=said)
            page = self.get(link, "", what)
            items += page.get("value", [])
        return items

    def _answer(
        self, method: str, path: str, version: str, what: str, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        return self._read(self._send(method, path, version, what, body, **AGAIN), what)

    def _send(
        self, method: str, path: str, version: str, what: str, body: dict[str, Any] | None, **options: Any
    ) -> HttpResponse:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.core.rest import HttpRequest

        url = path if "://" in path else self.url + path
        request = HttpRequest(method, url, params={"api-version": version} if version else {}, json=body)
        try:
            response: HttpResponse = self.client.send_request(request, **options)
        except ClientAuthenticationError as error:
            raise not_signed_in(error) from error
        except AzureError as error:
            raise unanswered(error, what) from error
        return response

    def _read(self, response: HttpResponse, what: str) -> dict[str, Any]:
        if response.status_code == 404:  # noqa: PLR2004 -- as everybody knows it
            raise NotThere(refusal(response, what))
        if not 200 <= response.status_code < 300:  # noqa: PLR2004 -- likewise
            raise refusal(response, what)
        try:
            found = response.json() if response.content else {}
        except ValueError as error:
            raise unanswered(error, what) from error
        return found if isinstance(found, dict) else {}


def connect(cloud: Cloud, credential: TokenCredential) -> ResourceManager:
    """The resource manager of *cloud*; tokens are for it and go to it alone, over https."""
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy

    signed = BearerTokenCredentialPolicy(credential, scope(cloud))
    # What is sent may hold secrets of a build, which no redirect shall carry along either.
    pipeline = client(cloud.resource_manager, signed=signed, redirects=False)
    return ResourceManager(client=pipeline, url=cloud.resource_manager)


def _retry_after(response: HttpResponse) -> float:
    """Seconds until it may be asked again: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after."""
    milliseconds = response.headers.get("retry-after-ms", "")
    seconds = response.headers.get("retry-after", "")
    if milliseconds.isdigit():
        return int(milliseconds) / 1000
    return float(seconds) if seconds.isdigit() else 2.0
