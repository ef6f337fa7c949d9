"""Sign-in to a registry: the challenge of its API, answered with credentials or with a token.

https://distribution.github.io/distribution/spec/auth/token/ and
https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from azureml_tasks.errors import RegistryError
from azureml_tasks.registry.session import AnswerError, message_of
from azureml_tasks.registry.token_claims import claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.registry.session import RegistrySession

ACR_USER = "00000000-0000-0000-0000-000000000000"
"""The user of an Azure container registry whose password is a refresh token."""


class Challenge(NamedTuple):
    """How a registry wants to be signed in to.

    Args:
        scheme: `basic` or `bearer`.
        realm: address of the token server, for `bearer`.
        service: name of the registry at the token server.
    """

    scheme: str
    realm: str
    service: str


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A user with a password, or a refresh token (`identitytoken` in docker's configuration); all empty: anonymous."""

    user: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    @property
    def basic(self) -> dict[str, str]:
        """The header Authorization; none if anonymous."""
        if not self.user:
            return {}
        encoded = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {encoded}"}


@dataclass(frozen=True, kw_only=True)
class RegistryAuth:
    """Authorization of requests to one registry.

    Args:
        session: with the registry.
        credentials: returns the credentials for a challenge; called for each token.
        sign_in: what a user does to be let in, the next step of an error.
    """

    session: RegistrySession
    credentials: Callable[[Challenge], Credentials]
    sign_in: str
    _challenges: list[Challenge | None] = field(default_factory=list, repr=False)
    _headers: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    def headers(self, scope: str) -> dict[str, str]:
        """Return the headers of requests for *scope*, such as `repository:NAME:pull`; several have blanks between.

        Raises:
            RegistryError: the registry refuses the credentials, or its token server is not to be trusted.
            AnswerError: it does not answer.
        """
        if scope not in self._headers:
            self._headers[scope] = self._authorize(scope)
        return self._headers[scope]

    def forget(self, scope: str) -> bool:
        """Forget the token for *scope*, which may have expired; False if there is none, as for a password."""
        return self._headers.pop(scope, {}).get("Authorization", "").startswith("Bearer ")

    def refresh_token(self) -> str:
        """Return the refresh token, which `docker login` takes as a password; "" if there is none; errors as above."""
        challenge = self.challenge()
        return self.credentials(challenge).refresh_token if challenge else ""

    def challenge(self) -> Challenge | None:
        """Return the registry's challenge, requested once; None if it wants no sign-in.

        https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support

        Raises:
            RegistryError: its realm is not an address of the registry itself.
        """
        if not self._challenges:
            self._challenges.append(self._requested_challenge())
        return self._challenges[0]

    def _requested_challenge(self) -> Challenge | None:
        response = self.session.send("GET", f"{self.session.url}/v2/")
        header = response.headers.get("WWW-Authenticate", "")
        if response.status_code != HTTPStatus.UNAUTHORIZED or not header:
            return None
        scheme = header.partition(" ")[0].lower()
        fields = dict(
            re.findall(r'(\w+)="([^"]*)"', header)
        )  # https://www.rfc-editor.org/rfc/rfc9110#section-11.2
        realm, service = fields.get("realm", ""), fields.get("service", self.session.login_server)
        if scheme == "bearer":
            self._check_realm(realm)
        return Challenge(scheme=scheme, realm=realm, service=service)

    def _check_realm(self, realm: str) -> None:
        """Refuse to send credentials to another host, or by http where the registry has https."""
        try:
            parts = urlsplit(realm)
        except ValueError:  # as for "https://["
            parts = urlsplit("")
        if f"{parts.scheme}://{parts.netloc}" == self.session.url:
            return
        what = f"Registry {self.session.login_server} names another address for sign-in: {realm or 'none'}."
        fix = "No credentials were sent. Check the network between this machine and the registry."
        raise RegistryError(what, next_step=fix)

    def _authorize(self, scope: str) -> dict[str, str]:
        challenge = self.challenge()
        if not challenge:
            return {}
        credentials = self.credentials(challenge)
        if challenge.scheme == "basic":
            return credentials.basic
        if credentials.refresh_token:
            form = {
                "grant_type": "refresh_token",
                "service": challenge.service,
                "scope": scope,
                "refresh_token": credentials.refresh_token,
                "client_id": "azureml-tasks",
            }
            answer = _post_form(self.session, challenge.realm, form, self.sign_in)
        else:
            query = {"service": challenge.service, "scope": scope.split()}
            response = self.session.send("GET", challenge.realm, params=query, headers=credentials.basic)
            answer = _json(self.session, response, self.sign_in)
        return {"Authorization": f"Bearer {answer.get('access_token') or answer.get('token') or ''}"}


@dataclass(frozen=True, kw_only=True)
class AzureCredentials:
    """The credentials of an Azure container registry, whose refresh tokens are given for a token of Microsoft Entra.

    The form is that of `az acr login` (azure-cli, acr/_docker_utils.py).

    Args:
        session: with the registry.
        azure_token: returns a token of the signed-in identity.
        sign_in: what a user does to be let in, the next step of an error.
    """

    session: RegistrySession
    azure_token: Callable[[], str]
    sign_in: str

    def __call__(self, challenge: Challenge) -> Credentials:
        """Exchange the token.

        Raises:
            RegistryError: the registry refuses the token, or is not an Azure container registry.
        """
        if challenge.scheme != "bearer":
            what = f"Registry {self.session.login_server} does not accept a sign-in of Azure."
            raise RegistryError(what, next_step="Check registry: it must be an Azure container registry.")
        token = self.azure_token()
        tenant = claims(token).get("tid")
        form = {
            "grant_type": "access_token",
            "service": challenge.service,
            **({"tenant": tenant} if isinstance(tenant, str) and tenant else {}),
            "access_token": token,
        }
        answer = _post_form(self.session, f"{self.session.url}/oauth2/exchange", form, self.sign_in)
        return Credentials(refresh_token=str(answer.get("refresh_token") or ""))


def _post_form(session: RegistrySession, url: str, form: dict[str, str], sign_in: str) -> dict[str, Any]:
    """Post *form* to a token server and return its answer."""
    return _json(session, session.send("POST", url, data=form), sign_in)


def _json(session: RegistrySession, response: Any, sign_in: str) -> dict[str, Any]:
    """Return the JSON of a token server's answer.

    Raises:
        AnswerError: the server refuses.
        RegistryError: the answer is not JSON.
    """
    if response.status_code != HTTPStatus.OK:
        what = f"Registry {session.login_server} refused the sign-in ({response.status_code})."
        raise AnswerError(what, status=response.status_code, next_step=sign_in, said=message_of(response))
    try:
        answer = response.json()
    except (ValueError, RecursionError) as error:
        fix = "Check the network between this machine and the registry, and run the same command again."
        what = f"Registry {session.login_server} answered a sign-in with something that is not JSON."
        raise RegistryError(what, next_step=fix) from error
    return answer if isinstance(answer, dict) else {}
