"""Microsoft Entra ID and the endpoint of a managed identity, which issue Azure tokens."""

from __future__ import annotations

import base64
import re
import time
import uuid
from dataclasses import dataclass

from tests.machine.acr.azure_state import CLIENT, OBJECT, SECRET, TENANT, Settings
from tests.machine.acr.messages import Answer, Request, json_answer
from tests.machine.acr.tokens import Claims, Issuer

__all__ = ["IDENTITY_SECRET", "Directory", "ManagedIdentity"]

IDENTITY_SECRET = "loopback-identity-header"  # noqa: S105 -- known on this machine alone
_SCOPE_END = "/.default"


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Microsoft Entra ID: its configuration, and tokens for a client with a secret.

    Args:
        url: where it is served.
        issuer: signs the tokens.
        settings: how long they last.
    """

    url: str
    issuer: Issuer
    settings: Settings

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        path = request.path
        if path == "/common/discovery/instance":
            return self._instance(request)
        match = re.fullmatch(r"/([^/]+)(/v2\.0)?/\.well-known/openid-configuration", path)
        if match:
            return self._configuration(match.group(1))
        match = re.fullmatch(r"/([^/]+)/oauth2(?:/v2\.0)?/token", path)
        if match and request.method == "POST":
            return self._token(match.group(1), request.form())
        return json_answer(404, {"error": "not_found", "error_description": f"nothing is at {path}"})

    def _instance(self, request: Request) -> Answer:
        asked = request.query.get("authorization_endpoint", [""])[0]
        if not asked.startswith(f"{self.url}/"):
            return json_answer(
                400, {"error": "invalid_instance", "error_description": "AADSTS50049: Unknown"}
            )
        host = self.url.partition("//")[2]
        aliases = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        where = f"{self.url}/{TENANT}/v2.0/.well-known/openid-configuration"
        return json_answer(200, {"tenant_discovery_endpoint": where, "metadata": [aliases]})

    def _configuration(self, tenant: str) -> Answer:
        if tenant not in {TENANT, "common", "organizations"}:
            return _refused(400, "invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")
        base = f"{self.url}/{TENANT}"
        return json_answer(
            200,
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
            },
        )

    def _token(self, tenant: str, form: dict[str, list[str]]) -> Answer:
        sent = {name: values[0] for name, values in form.items()}
        if tenant != TENANT:
            return _refused(400, "invalid_request", f"AADSTS90002: Tenant '{tenant}' not found.")
        if sent.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported.")
        if sent.get("client_id") != CLIENT:
            message = f"AADSTS700016: Application with identifier '{sent.get('client_id')}' was not found."
            return _refused(400, "unauthorized_client", message)
        if sent.get("client_secret") != SECRET:
            return _refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        audience = sent.get("resource") or sent.get("scope", "")
        audience = audience.split()[0] if audience else ""
        audience = audience.removesuffix(_SCOPE_END)
        if not audience.startswith(("https://", "api://")):
            return _refused(400, "invalid_scope", f"AADSTS70011: The scope '{audience}' is not valid.")
        if audience in self.settings.unknown_audiences:
            message = f"AADSTS500011: The resource principal named {audience} was not found in the tenant."
            return _refused(400, "invalid_resource", message)
        return json_answer(200, azure_token(self.issuer, self.settings, audience))


@dataclass(frozen=True, kw_only=True)
class ManagedIdentity:
    """The endpoint of a managed identity, as in App Service, for tokens without a secret."""

    issuer: Issuer
    settings: Settings

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        if request.headers.get("x-identity-header") != IDENTITY_SECRET:
            return json_answer(
                401, {"statusCode": 401, "message": "The X-IDENTITY-HEADER is missing or wrong."}
            )
        resource = request.query.get("resource", [""])[0]
        if not resource:
            return json_answer(400, {"statusCode": 400, "message": "The resource is missing."})
        token = azure_token(self.issuer, self.settings, resource)
        expires = int(time.time() + self.settings.token_seconds)
        more = {"expires_on": str(expires), "resource": resource, "client_id": CLIENT}
        return json_answer(200, {**token, **more})


def azure_token(issuer: Issuer, settings: Settings, audience: str) -> dict[str, object]:
    """Return a token for *audience* as Entra ID answers."""
    seconds = settings.token_seconds
    claims = Claims(kind="aad", audience=audience, subject="caller", expires=time.time() + seconds)
    more = {
        "iss": f"https://sts.windows.net/{TENANT}/",
        "appid": CLIENT,
        "oid": OBJECT,
        "tid": TENANT,
        "uti": base64.urlsafe_b64encode(uuid.uuid4().bytes).decode(),
    }
    return {
        "token_type": "Bearer",
        "expires_in": int(seconds),
        "ext_expires_in": int(seconds),
        "access_token": issuer.issue(claims, more),
    }


def _refused(status: int, error: str, description: str) -> Answer:
    number = re.search(r"AADSTS(\d+)", description)
    return json_answer(
        status,
        {
            "error": error,
            "error_description": f"{description} Trace ID: {uuid.uuid4()}",
            "error_codes": [int(number.group(1))] if number else [],
        },
    )
