"""The registry's own answer to which digest a tag has, where the engine cannot ask."""

from __future__ import annotations

import re
from typing import Any

from azureml_tasks.errors import RegistryError

__all__ = ["manifest_digest"]

_ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")
_TIMEOUT = 30.0


def manifest_digest(name: str, api: Any) -> str:
    """Ask for the digest of *name*, `host/repository:tag` (HEAD of its manifest, distribution-spec 1.1).

    Args:
        name: full reference.
        api: the SDK's client, whose credentials for the host are used; they go to that host alone.

    Raises:
        RegistryError: it does not answer, refuses, or does not have it.
    """
    import requests

    host, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    url = f"{'http' if _LOOPBACK.fullmatch(host) else 'https'}://{host}/v2/{repository}/manifests/{tag}"
    try:
        answer = requests.head(url, headers={"Accept": _ACCEPT}, timeout=_TIMEOUT, allow_redirects=False)
        if answer.status_code == requests.codes.unauthorized:
            headers = {
                "Accept": _ACCEPT,
                "Authorization": _authorization(answer.headers, host, repository, api),
            }
            answer = requests.head(url, headers=headers, timeout=_TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise RegistryError(
            f"Registry {host} did not say which digest {name} has.", said=str(error)
        ) from error
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status_code != requests.codes.ok or not digest:
        raise RegistryError(
            f"Registry {host} did not say which digest {name} has: it answered {answer.status_code}.",
            next_step=f"docker login {host}",
        )
    return digest


def _authorization(headers: Any, host: str, repository: str, api: Any) -> str:
    import base64

    import requests

    login = api._auth_configs.resolve_authconfig(host) or {}  # noqa: SLF001 -- the SDK's own way to config and helpers
    basic = base64.b64encode(f"{login.get('Username', '')}:{login.get('Password', '')}".encode()).decode()
    challenge = headers.get("WWW-Authenticate", "")
    if not challenge.lower().startswith("bearer "):
        return f"Basic {basic}"
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = fields.get("realm", "")
    if not re.match(rf"https?://{re.escape(host)}/", realm):
        raise RegistryError(
            f"Registry {host} sends sign-in to another host, {realm}.",
            next_step="Use Docker's engine for the push.",
        )
    query = {"service": fields.get("service", ""), "scope": f"repository:{repository}:pull"}
    answer = requests.get(
        realm, params=query, headers={"Authorization": f"Basic {basic}"} if login else {}, timeout=_TIMEOUT
    )
    token = answer.json() if answer.ok else {}
    return f"Bearer {token.get('token') or token.get('access_token', '')}"
