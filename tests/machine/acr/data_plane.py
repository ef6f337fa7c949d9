"""The login server: it issues tokens, and passes other requests to the real registry."""

from __future__ import annotations

import base64
import binascii
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.machine.acr.azure_state import TENANT, Settings
from tests.machine.acr.messages import Answer, Request, json_answer
from tests.machine.acr.proxy import forward
from tests.machine.acr.tokens import Claims, Issuer

__all__ = ["TOKEN_USER", "DataPlane", "basic", "registry_auth"]

TOKEN_USER = "00000000-0000-0000-0000-000000000000"  # noqa: S105 -- the user name that goes with a refresh token
_HELP = "authentication required, visit https://aka.ms/acr/authorization for more information."


@dataclass(kw_only=True)
class DataPlane:
    """The login server.

    Args:
        service: the login server, which is the tokens' audience.
        issuer: signs them.
        settings: what callers may do, and how long tokens last.
        upstream: the real registry, `127.0.0.1:PORT`.
    """

    service: str
    issuer: Issuer
    settings: Settings
    upstream: str = ""

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        if request.path == "/oauth2/exchange" and request.method == "POST":
            return self._exchange(request.form())
        if request.path == "/oauth2/token" and request.method == "POST":
            return self._by_refresh_token(request.form())
        if request.path == "/oauth2/token":
            return self._by_name_and_password(request)
        if request.path.startswith("/v2"):
            return self._images(request)
        return _error(404, "NOT_FOUND", f"nothing is at {request.path}")

    def refresh_token(self, subject: str) -> str:
        """Return a refresh token of `caller` or `run`."""
        expires = time.time() + self.settings.refresh_seconds
        claims = Claims(kind="refresh", audience=self.service, subject=subject, expires=expires)
        more = {"iss": "Azure Container Registry", "sub": TOKEN_USER, "grant_type": "refresh_token"}
        return self.issuer.issue(claims, more)

    def access_token(
        self, subject: str, access: Sequence[Mapping[str, object]], *, seconds: float | None = None
    ) -> str:
        """Return an access token with *access*, regardless of permissions."""
        expires = time.time() + (self.settings.access_seconds if seconds is None else seconds)
        claims = Claims(kind="registry", audience=self.service, subject=subject, expires=expires)
        more = {"iss": "Azure Container Registry", "sub": subject, "access": list(access)}
        return self.issuer.issue(claims, more)

    def _exchange(self, form: dict[str, list[str]]) -> Answer:
        sent = {name: values[0] for name, values in form.items()}
        if sent.get("grant_type") != "access_token":
            return _error(400, "UNSUPPORTED", f"grant_type {sent.get('grant_type')!r} is not supported")
        if sent.get("service") != self.service:
            return _error(400, "NAME_UNKNOWN", f"service {sent.get('service')!r} is not {self.service}")
        if sent.get("tenant") != TENANT:
            return _error(401, "UNAUTHORIZED", f"the registry is not of tenant {sent.get('tenant')}")
        claims = self.issuer.claims(sent.get("access_token", ""))
        audiences = self.settings.registry_audiences
        if not claims or claims.kind != "aad" or claims.expired or claims.audience not in audiences:
            return _error(401, "UNAUTHORIZED", _HELP)
        return json_answer(200, {"refresh_token": self.refresh_token(claims.subject)})

    def _by_refresh_token(self, form: dict[str, list[str]]) -> Answer:
        if form.get("grant_type") != ["refresh_token"]:
            return _error(400, "UNSUPPORTED", f"grant_type {form.get('grant_type')} is not supported")
        service = form.get("service", [""])[0]
        return self._token(service, form.get("scope", []), form.get("refresh_token", [""])[0])

    def _by_name_and_password(self, request: Request) -> Answer:
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(text).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return _error(401, "UNAUTHORIZED", _HELP)
        if kind.lower() != "basic" or user != TOKEN_USER:
            return _error(401, "UNAUTHORIZED", _HELP)
        return self._token(request.query.get("service", [""])[0], request.query.get("scope", []), password)

    def _token(self, service: str, scopes: Sequence[str], refresh_token: str) -> Answer:
        claims = self.issuer.claims(refresh_token)
        if not claims or claims.kind != "refresh" or claims.expired or service != self.service:
            return _error(401, "UNAUTHORIZED", _HELP)
        requested = [scope for text in scopes for scope in text.split()]
        access = [granted for scope in requested if (granted := self._granted(claims.subject, scope))]
        return json_answer(200, {"access_token": self.access_token(claims.subject, access)})

    def _granted(self, subject: str, scope: str) -> dict[str, object] | None:
        """Return the permitted part of a scope; the rest is silently left out, as on Azure."""
        match = re.fullmatch(r"(repository|registry):(.+):([a-z*,_]+)", scope)
        if not match:
            return None
        kind, name, actions = match.groups()
        allowed = self.settings.actions(subject, name) if kind == "repository" else frozenset({"*"})
        granted = [action for action in actions.split(",") if action in allowed]
        return {"type": kind, "name": name, "actions": granted} if granted else None

    def _images(self, request: Request) -> Answer:
        token = request.bearer()
        claims = self.issuer.claims(token) if token else None
        # The registry behind allows a minute after the end, and cannot know what a test has let expire.
        stale = token is not None and (claims is None or claims.kind != "registry" or claims.expired)
        return forward(request, self.upstream, without=frozenset({"authorization"} if stale else ()))


def registry_auth(service: str, realm: str, bundle: str) -> str:
    """Return the configuration that makes the real registry accept these tokens only."""
    return "\n".join(
        [
            "auth:",
            "  token:",
            f"    realm: {realm}",
            f"    service: {service}",
            "    issuer: Azure Container Registry",
            f"    rootcertbundle: {bundle}",
            "",
        ]
    )


def basic(user: str, password: str) -> str:
    """Return name and password as in an Authorization header."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _error(status: int, code: str, message: str) -> Answer:
    value = {"errors": [{"code": code, "message": message, "detail": None}]}
    return json_answer(status, value, {"X-Ms-Correlation-Request-Id": str(uuid.uuid4())})
