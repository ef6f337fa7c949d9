"""Why a registry refused a pull or a push, from the message that an engine passes on, and the error for it.

An engine passes a registry's answer on as text alone. That text also holds names of repositories and tags, such as
`resnet-404` or `denied`, so nothing is searched for anywhere in it: a code of the registry or a status is read only
where the engine writes one, and every other phrase has a blank, which no name has.
"""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from http import HTTPStatus

from azureml_tasks.errors import AzuremlTasksError, EngineError, RegistryError
from azureml_tasks.plain_text import clean


class Cause(Enum):
    """Why a pull or a push failed."""

    DISK = auto()
    SIGN_IN = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    NOT_FOUND_OR_FORBIDDEN = auto()
    UNKNOWN_HOST = auto()
    TLS = auto()
    TEMPORARY = auto()
    OTHER = auto()


# https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes; the last two are of
# https://github.com/distribution/distribution/blob/v2.8.2/registry/api/errcode/register.go.
_CODES = {
    "UNAUTHORIZED": Cause.SIGN_IN,
    "DENIED": Cause.FORBIDDEN,
    "NAME_UNKNOWN": Cause.NOT_FOUND,
    "MANIFEST_UNKNOWN": Cause.NOT_FOUND,
    "BLOB_UNKNOWN": Cause.OTHER,
    "BLOB_UPLOAD_INVALID": Cause.OTHER,
    "BLOB_UPLOAD_UNKNOWN": Cause.OTHER,
    "DIGEST_INVALID": Cause.OTHER,
    "MANIFEST_BLOB_UNKNOWN": Cause.OTHER,
    "MANIFEST_INVALID": Cause.OTHER,
    "NAME_INVALID": Cause.OTHER,
    "SIZE_INVALID": Cause.OTHER,
    "UNSUPPORTED": Cause.OTHER,
    "TOOMANYREQUESTS": Cause.TEMPORARY,
    "UNAVAILABLE": Cause.TEMPORARY,
}
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_CODE = re.compile(
    rf"(?:^|: )({'|'.join(code.lower().replace('_', ' ') for code in _CODES)})(?=:|\s*$)", re.MULTILINE
)
"""Docker and Podman write the code DENIED as `denied: message`, as one link of a chain that colons join."""
_STATUS = re.compile(
    r"received unexpected HTTP status: (\d{3})\b"  # Docker and Podman
    r"|(?:^|: )error parsing HTTP (\d{3}) response body: "  # Docker
    r"|unexpected status from \w+ request to \S+: (\d{3})\b"  # containerd
    r"|(?:^|: )StatusCode: (\d{3}),"  # Podman
    r"|invalid status code from registry (\d{3})\b"  # Podman
)
_PHRASES = {
    Cause.DISK: r"no space left on device|disk quota exceeded",
    Cause.NOT_FOUND_OR_FORBIDDEN: r"repository does not exist or may require (?!.*no basic auth credentials)"
    r"|does not exist or no pull access",
    Cause.SIGN_IN: r"no basic auth credentials|authentication required|incorrect username or password"
    r"|invalid username/password: ",
    Cause.NOT_FOUND: r"manifest for \S+ not found|: not found$",
    Cause.UNKNOWN_HOST: r"no such host|server misbehaving|name or service not known"
    r"|temporary failure in name resolution",
    Cause.TLS: r"(?:^|: )(?:x509|tls): |server gave HTTP response to HTTPS client",
    Cause.TEMPORARY: r"connection refused|connection reset by peer|broken pipe|(?:^|: )(?:unexpected )?EOF$"
    r"|i/o timeout|TLS handshake timeout|context deadline exceeded|request canceled while waiting"
    r"|too many requests|no route to host|network is unreachable",
}
_PATTERNS = {cause: re.compile(pattern, re.IGNORECASE | re.MULTILINE) for cause, pattern in _PHRASES.items()}
_SERVER_ERRORS = 500  # and above
_OFFLINE = re.compile(
    r"server misbehaving|temporary failure in name resolution|no route to host|network is unreachable",
    re.IGNORECASE,
)
"""What an engine without a network says; it has not learnt whether the host exists."""
_NOTHING_LISTENS = re.compile("connection refused", re.IGNORECASE)
_KNOWN_HOSTS = ("docker.io", "ghcr.io", "mcr.microsoft.com", "nvcr.io", "quay.io")
"""Public registries: an engine that cannot resolve one of them is offline."""


def cause_of(message: str) -> Cause | None:
    """Return why a pull or a push failed, from the engine's *message*; None if it does not say.

    What comes first in the message decides: after it come the words of the registry.
    """
    if codes := _json_codes(message):
        return next((_CODES[code] for code in codes if code in _CODES), None)
    text = _QUOTED.sub('""', message.strip())  # addresses, references, and the body of an answer
    matches: list[tuple[int, Cause | None]] = []
    if match := _CODE.search(text):
        matches.append((match.start(), _CODES[match[1].upper().replace(" ", "_")]))
    if match := _STATUS.search(text):
        status = next(group for group in match.groups() if group)
        matches.append((match.start(), cause_of_status(int(status)) or Cause.OTHER))
    matches += [
        (match.start(), cause) for cause, pattern in _PATTERNS.items() if (match := pattern.search(text))
    ]
    return min(matches, key=lambda each: each[0])[1] if matches else None


def cause_of_status(status: int) -> Cause | None:
    """Return what the HTTP status of a registry's answer means; None if it does not tell."""
    known: dict[int, Cause] = {
        HTTPStatus.UNAUTHORIZED: Cause.SIGN_IN,
        HTTPStatus.FORBIDDEN: Cause.FORBIDDEN,
        HTTPStatus.NOT_FOUND: Cause.NOT_FOUND,
        HTTPStatus.TOO_MANY_REQUESTS: Cause.TEMPORARY,
    }
    return Cause.TEMPORARY if status >= _SERVER_ERRORS else known.get(status)


def _json_codes(message: str) -> list[str]:
    """Return the codes of a registry's answer in JSON, if the message holds one."""
    start = re.search(r'\{\s*"errors"\s*:', message)
    if not start:
        return []
    try:
        answer, _ = json.JSONDecoder().raw_decode(message[start.start() :])
        return [str(error["code"]) for error in answer["errors"]]
    except (ValueError, KeyError, TypeError):
        return []


def disk_error(message: str) -> EngineError | None:
    """Return the error for a full disk if the engine's *message* is about one."""
    if not _PATTERNS[Cause.DISK].search(message):
        return None
    return EngineError(
        "The engine's disk is full.",
        next_step="docker system df\nthen: docker system prune",
        said=f"docker said: {clean(message)}",
    )


def _offline(host: str, what: str, message: str) -> RegistryError:
    """Return the error for a registry to which the engine has no way, whether or not it exists."""
    fix = "Look at the engine's network, DNS and proxies: invoke image.doctor"
    if what.startswith("the pull of "):
        fix += "\nor name an image that the engine has: docker images"
    return RegistryError(
        f"Registry {host} could not be reached for {what}: the engine has no network, or no DNS.",
        next_step=fix,
        said=f"the engine said: {clean(message)}",
    )


def registry_error(
    host: str,
    what: str,
    message: str,
    *,
    cause: Cause | None,
    host_from: str = 'registry = "…" in the table, or --registry',
    tries: int = 1,
) -> AzuremlTasksError:
    """Return the error for a pull or a push that failed.

    Args:
        host: login server.
        what: such as "the push of a:1".
        message: of the engine, or of the registry.
        cause: why it failed; None if nobody knows.
        host_from: where the user wrote the host.
        tries: how often it was tried.
    """
    if cause is Cause.DISK and (full := disk_error(message)):
        return full
    if cause in {Cause.UNKNOWN_HOST, Cause.TEMPORARY} and (
        _OFFLINE.search(_QUOTED.sub('""', message)) or (cause is Cause.UNKNOWN_HOST and host in _KNOWN_HOSTS)
    ):
        return _offline(host, what, message)
    refused, tried = f"Registry {host} refused {what}", f" in {tries} tries" if tries > 1 else ""
    if cause is Cause.TEMPORARY and _NOTHING_LISTENS.search(_QUOTED.sub('""', message)):
        return RegistryError(
            f"Registry {host} could not be reached for {what}{tried}: nothing listens at its address.",
            next_step=f"Start it, or check the name: {host_from}",
            said=f"the engine said: {clean(message)}",
        )
    login = f"docker login {host}"
    if host.endswith((".azurecr.io", ".azurecr.cn", ".azurecr.us")):
        login = f"az acr login --name {host.partition('.')[0]}"
    problems = {
        Cause.SIGN_IN: (f"{refused}: you are not signed in (401).", f"Sign in with: {login}"),
        Cause.FORBIDDEN: (
            f"{refused}: not allowed (403).",
            f"The identity needs the role AcrPush on this registry (AcrPull to pull); then: {login}",
        ),
        Cause.NOT_FOUND: (
            f"{refused}: it does not exist (404).",
            "Check the registry and the name of the repository.",
        ),
        Cause.NOT_FOUND_OR_FORBIDDEN: (
            f"{refused}: it does not exist, or you may not access it.",
            f"Check the name of the repository, or sign in with: {login}",
        ),
        Cause.UNKNOWN_HOST: (
            f"Registry {host} could not be reached for {what}.",
            f"Check the name: {host_from}\nor, if it is right, the engine's DNS and network",
        ),
        Cause.TLS: (
            f"Registry {host} and the engine do not agree on TLS for {what}.",
            (
                f"Give the engine the registry's CA: /etc/docker/certs.d/{host}/ca.crt\n"
                "or, for a registry without TLS, list it in the engine's insecure-registries"
            ),
        ),
        Cause.TEMPORARY: (
            f"Registry {host} did not accept {what}{tried}.",
            "Run the same command again later.",
        ),
    }
    other = f"{refused}.", f"See its message; to sign in again: {login}"
    summary, fix = problems.get(cause, other) if cause else other
    return RegistryError(summary, next_step=fix, said=f"the registry said: {clean(message)}")
