"""Authentication and permissions in Azure Resource Manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.machine.acr import resources
from tests.machine.acr.azure_state import CLIENT, OBJECT, TENANT, Settings
from tests.machine.acr.messages import Request, json_answer
from tests.machine.acr.tokens import Issuer

__all__ = ["Authorization", "ErrorAnswer"]

AUDIENCES = tuple(
    f"https://management.{host}{end}" for host in ("azure.com", "core.windows.net") for end in ("", "/")
)


class ErrorAnswer(Exception):
    """An error response."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.answer = json_answer(status, {"error": {"code": code, "message": message}}, headers)


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """Checks every request.

    Args:
        url: where Resource Manager is served; a token may be for it too, as in clouds of one's own.
        directory: where tokens come from.
        issuer: knows the tokens.
        settings: what the caller may do.
    """

    url: str
    directory: str
    issuer: Issuer
    settings: Settings

    def audiences(self) -> tuple[str, ...]:
        """Return the accepted audiences of a token."""
        return (*AUDIENCES, self.url, f"{self.url}/")

    def authenticate(self, request: Request) -> None:
        """Refuse a request without a valid token."""
        token = request.bearer()
        if token is None:
            words = "Authentication failed. The 'Authorization' header is missing."
            raise self._unauthorized("AuthenticationFailed", words)
        claims = self.issuer.claims(token)
        if claims is None or claims.kind != "aad":
            raise self._unauthorized("InvalidAuthenticationToken", "The access token is invalid.")
        if claims.audience not in self.audiences():
            allowed = ",".join(f"'{audience}'" for audience in AUDIENCES)
            raise self._unauthorized(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{claims.audience}'. "
                f"It should exactly match with one of the allowed audiences {allowed}.",
            )
        if claims.expired:
            words = "The access token expiry UTC time is earlier than current UTC time."
            raise self._unauthorized("ExpiredAuthenticationToken", words)

    def _unauthorized(self, code: str, message: str) -> ErrorAnswer:
        challenge = f'Bearer authorization_uri="{self.directory}/{TENANT}", error="invalid_token"'
        challenge += f', error_description="{message}"'
        return ErrorAnswer(401, code, message, {"WWW-Authenticate": challenge})

    @staticmethod
    def check_version(request: Request, types: str) -> None:
        """Refuse an unknown API version."""
        sent = request.query.get("api-version", [""])[0]
        if not sent:
            words = "The api-version query parameter (?api-version=) is required for all requests."
            raise ErrorAnswer(400, "MissingApiVersionParameter", words)
        if sent.lower() not in resources.VERSIONS[types]:
            supported = ", ".join(sorted(resources.VERSIONS[types]))
            raise ErrorAnswer(
                400,
                "NoRegisteredProviderFound",
                f"No registered resource provider found for location 'westeurope' and API version '{sent}' "
                f"for type '{types}'. The supported api-versions are '{supported}'.",
            )

    def check_permission(self, action: str, scope: str) -> None:
        """Refuse an operation that the caller has no permission for."""
        if action in self.settings.denied:
            raise ErrorAnswer(
                403,
                "AuthorizationFailed",
                f"The client '{CLIENT}' with object id '{OBJECT}' does not have authorization to perform "
                f"action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
                "granted, please refresh your credentials.",
            )
