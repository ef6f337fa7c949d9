"""What engines and registries say when they refuse → our errors; the one place that knows their words.

The codes are those of https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes;
engines pass them on as text alone.
"""

from __future__ import annotations

import re

from azureml_tasks.errors import AzuremlTasksError, EngineError, RegistryError
from azureml_tasks.plain_text import clean

__all__ = ["disk_error", "is_passing", "registry_error"]

_DISK = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_UNAUTHORIZED = re.compile(
    r"\b401\b|unauthorized|authentication required|no basic auth credentials|incorrect username or password",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"\b403\b|\bdenied\b|forbidden", re.IGNORECASE)
_UNKNOWN = re.compile(r"\b404\b|name unknown|not found", re.IGNORECASE)
_NO_HOST = re.compile(r"no such host|server misbehaving|name or service not known", re.IGNORECASE)
_TLS = re.compile(r"x509|certificate|tls: |server gave HTTP response to HTTPS client", re.IGNORECASE)
_PASSING = re.compile(
    r"\b(429|500|502|503|504)\b|too ?many ?requests|timeout|timed out|deadline exceeded|connection re(set|fused)"
    r"|broken pipe|unexpected EOF|\bEOF\b|temporarily unavailable|service unavailable|TLS handshake timeout",
    re.IGNORECASE,
)


def is_passing(said: str) -> bool:
    """Whether the same request may be taken a moment later."""
    lasting = (_DISK, _UNAUTHORIZED, _FORBIDDEN, _UNKNOWN, _NO_HOST)
    return bool(_PASSING.search(said)) and not any(pattern.search(said) for pattern in lasting)


def disk_error(said: str) -> EngineError | None:
    """The error of a full disk, where *said* is about one."""
    if not _DISK.search(said):
        return None
    return EngineError(
        "The engine's disk is full.",
        next_step="docker system df\nthen: docker system prune",
        said=f"docker said: {clean(said)}",
    )


def registry_error(
    host: str,
    what: str,
    said: str,
    *,
    named: str = 'registry = "…" in the table, or --registry',
    often: str = "",
) -> AzuremlTasksError:
    """The error for *what* (such as "the push of a:1") that registry *host* refused with the words *said*.

    Args:
        host: login server.
        what: was asked of it.
        said: its words, or the engine's.
        named: where the user wrote the host.
        often: how often it was asked, where more than once (", three times in a row").
    """
    said = clean(said)
    words = f"the registry said: {said}"
    login = (
        f"az acr login --name {host.partition('.')[0]}"
        if host.endswith((".azurecr.io", ".azurecr.cn", ".azurecr.us"))
        else f"docker login {host}"
    )
    if full := disk_error(said):
        return full
    if _UNAUTHORIZED.search(said):
        return RegistryError(
            f"Registry {host} refused {what}: you are not signed in (401).",
            next_step=f"Sign in with: {login}",
            said=words,
        )
    if _TLS.search(said) and "handshake timeout" not in said:
        fix = (
            f"Give the engine the registry's CA: /etc/docker/certs.d/{host}/ca.crt\n"
            "or, for a registry without TLS, list it in the engine's insecure-registries"
        )
        return RegistryError(
            f"Registry {host} and the engine do not agree on TLS for {what}.", next_step=fix, said=words
        )
    if _FORBIDDEN.search(said):
        fix = f"The identity needs the role AcrPush on this registry (AcrPull to pull); then: {login}"
        return RegistryError(f"Registry {host} refused {what}: not allowed (403).", next_step=fix, said=words)
    if _NO_HOST.search(said):
        return RegistryError(
            f"Registry {host} is not known by that name.",
            next_step=f"Look at: {named}",
            said=words,
        )
    if _UNKNOWN.search(said):
        return RegistryError(
            f"Registry {host} does not know what {what} is about (404).",
            next_step="Look at the registry and the repository's name.",
            said=words,
        )
    if _PASSING.search(said):
        return RegistryError(
            f"Registry {host} did not take {what}{often}.",
            next_step="Run the same command again later.",
            said=words,
        )
    return RegistryError(
        f"Registry {host} refused {what}.",
        next_step=f"Look at what it said; signing in anew is: {login}",
        said=words,
    )
