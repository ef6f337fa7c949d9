"""Sign-in to a registry's own API: the token of Azure for one of the registry's, for one purpose at a time.

https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md and
https://distribution.github.io/distribution/spec/auth/token/. Tokens go to the login server that Azure Resource
Manager has confirmed, and to no other host, whatever a challenge says; without TLS on loopback alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azureml_tasks.engines.acr.http import ask_registry, registry_url
from azureml_tasks.errors import RegistryError, RemoteBuildError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.rest import HttpResponse

__all__ = ["USER", "RegistryTokens"]

USER = "00000000-0000-0000-0000-000000000000"
"""The name that goes with a refresh token where a password is wanted."""
_OK, _UNAUTHORIZED = 200, 401


@dataclass(kw_only=True)
class RegistryTokens:
    """The tokens of one login server.

    Args:
        login_server: as Azure Resource Manager gives it.
        name: of the registry's resource, as `az acr` wants it.
        azure_token: gives a token of the signed-in identity.
    """

    login_server: str
    name: str
    azure_token: Callable[[], str]
    _kept: dict[str, str] = field(default_factory=dict, repr=False)

    def headers(self, scope: str, *, anew: bool = False) -> dict[str, str]:
        """What signs a request for *scope*, such as `repository:NAME:pull`; empty where nothing is asked for.

        Args:
            scope: one or several, with blanks between.
            anew: whether a kept token is not good enough.

        Raises:
            RegistryError: the registry refuses.
            HandOffError: it does not answer.
        """
        if anew or scope not in self._kept:
            self._kept[scope] = self._token(scope)
        token = self._kept[scope]
        return {"Authorization": f"Bearer {token}"} if token else {}

    def refresh_token(self) -> str:
        """What stands in for a password: for `docker login`, and for an engine that pulls."""
        return self._exchanged(self._challenge())

    def _token(self, scope: str) -> str:
        challenge = self._challenge()
        if not challenge:
            return ""
        asked = {
            "grant_type": "refresh_token",
            "service": challenge["service"],
            "scope": scope,
            "refresh_token": self._exchanged(challenge),
        }
        return str(self._post(challenge["realm"], asked).get("access_token", ""))

    def _exchanged(self, challenge: Mapping[str, str]) -> str:
        if not challenge:
            return ""
        asked = {
            "grant_type": "access_token",
            "service": challenge["service"],
            "access_token": self.azure_token(),
        }
        return str(
            self._post(f"{registry_url(self.login_server)}/oauth2/exchange", asked).get("refresh_token", "")
        )

    def _challenge(self) -> dict[str, str]:
        """How the registry wants to be signed in to: realm and service; empty where it wants no sign-in."""
        response = self._send("GET", f"{registry_url(self.login_server)}/v2/")
        if response.status_code == _OK:
            return {}
        said = response.headers.get("WWW-Authenticate", "")
        if response.status_code != _UNAUTHORIZED or not said.lower().startswith("bearer "):
            answer = f"answered {response.status_code} and wants no sign-in that Azure gives"
            what = f"Registry {self.login_server} {answer}."
            raise RegistryError(what, next_step="Look at registry: it must be an Azure container registry.")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', said))
        realm = urlsplit(fields.get("realm", ""))
        if f"{realm.scheme}://{realm.netloc}" != registry_url(self.login_server):
            what = f"Registry {self.login_server} sends sign-in elsewhere, to {fields.get('realm') or 'no address'}."
            raise RegistryError(
                what, next_step="No token was sent. Look at the network between here and the registry."
            )
        return {"realm": fields["realm"], "service": fields.get("service", self.login_server)}

    def _post(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        response = self._send("POST", url, form)
        if response.status_code != _OK:
            fix = (
                f"az acr login --name {self.name}\n"
                "It needs the role AcrPull or AcrPush, or a repository role, on the registry."
            )
            said = f"the registry said: {clean(response.text()[:500])}"
            what = f"Registry {self.login_server} did not let you in ({response.status_code})."
            raise RegistryError(what, next_step=fix, said=said)
        try:
            found = response.json()
        except ValueError as error:
            fix = "Look at the network between here and the registry, and run the same command again."
            what = f"Registry {self.login_server} answered a sign-in with something that is no JSON."
            raise RemoteBuildError(what, next_step=fix) from error
        return found if isinstance(found, dict) else {}

    def _send(self, method: str, url: str, form: Mapping[str, str] | None = None) -> HttpResponse:
        from azure.core.rest import HttpRequest

        request = HttpRequest(method, url, data=dict(form) if form else None)
        # A redirect of a sign-in would carry the token along.
        return ask_registry(self.login_server, request, redirects=False)
