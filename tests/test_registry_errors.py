"""Why a registry refused, by the message of an engine, and the error for it."""

from __future__ import annotations

import pytest

from azureml_tasks.engines.docker.registry_errors import (
    Cause,
    cause_of,
    cause_of_status,
    disk_error,
    registry_error,
)

HOST = "contoso.azurecr.io"
PUSH = "the push of a:1"

# Messages of Docker 20.10, Docker 26.1 with images in containerd, and Podman 4.3, about REPOSITORY and TAG.
URL = f"https://{HOST}/v2/REPOSITORY/manifests/TAG"
MESSAGES = {
    Cause.SIGN_IN: [
        "unauthorized: authentication required, visit https://aka.ms/acr/authorization for more information.",
        f'Get "https://{HOST}/v2/": unauthorized: incorrect username or password',
        f'Head "{URL}": no basic auth credentials',
        "no basic auth credentials",
        (
            f'failed to resolve reference "{HOST}/REPOSITORY:TAG": pull access denied, repository does not exist or '
            "may require authorization: authorization failed: no basic auth credentials"
        ),
        (
            "push access denied, repository does not exist or may require authorization: "
            "authorization failed: no basic auth credentials"
        ),
        f"unexpected status from HEAD request to {URL}: 401 Unauthorized",
        (
            f"writing blob: initiating layer upload to /v2/REPOSITORY/blobs/uploads/ in {HOST}: "
            "unauthorized: authentication required"
        ),
        "unable to retrieve auth token: invalid username/password: unauthorized: authentication required",
        (
            "error parsing HTTP 401 response body: no error details found in HTTP response body: "
            '"{\\"message\\":\\"denied: \\"}"'
        ),
        f'{{"errors":[{{"code":"UNAUTHORIZED","message":"denied: {URL}"}}]}}',
    ],
    Cause.FORBIDDEN: [
        "denied: requested access to the resource is denied",
        "denied",
        'denied: unauthorized: {"errors"',
        f"received unexpected HTTP status: 403 Forbidden ({URL})",
        f"unexpected status from POST request to https://{HOST}/v2/REPOSITORY/blobs/uploads/: 403 Forbidden",
        (
            f"trying to reuse blob sha256:1 at destination: checking whether a blob sha256:1 exists in "
            f"{HOST}/REPOSITORY: denied: requested access to the resource is denied"
        ),
        f'{{"errors": [{{"code": "DENIED", "message": "the repository {URL}"}}]}}',
    ],
    Cause.NOT_FOUND: [
        f"manifest for {HOST}/REPOSITORY:TAG not found: manifest unknown: manifest unknown",
        "name unknown: repository name not known to registry",
        f'failed to resolve reference "{HOST}/REPOSITORY:TAG": {HOST}/REPOSITORY:TAG: not found',
        (
            f"initializing source docker://{HOST}/REPOSITORY:TAG: reading manifest TAG in {HOST}/REPOSITORY: "
            "manifest unknown: manifest unknown"
        ),
        f"reading manifest TAG in {HOST}/REPOSITORY: StatusCode: 404, <html>503</html>",
        "error parsing HTTP 404 response body: invalid character '<' looking for beginning of value: \"<p>503: EOF\"",
    ],
    Cause.NOT_FOUND_OR_FORBIDDEN: [
        (
            "pull access denied for REPOSITORY, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied"
        ),
        (
            f'failed to resolve reference "{HOST}/REPOSITORY:TAG": pull access denied, repository does not exist or '
            "may require authorization: server message: insufficient_scope: authorization failed"
        ),
    ],
    Cause.UNKNOWN_HOST: [
        f'Get "https://{HOST}/v2/": dial tcp: lookup {HOST}: no such host',
        (
            f'pinging container registry {HOST}: Get "https://{HOST}/v2/": dial tcp: lookup {HOST} on '
            "127.0.0.53:53: server misbehaving"
        ),
        f'failed to do request: Head "{URL}": dial tcp: lookup {HOST}: Temporary failure in name resolution',
    ],
    Cause.TLS: [
        f'Get "https://{HOST}/v2/": x509: certificate signed by unknown authority',
        f'failed to do request: Head "{URL}": tls: failed to verify certificate: x509: certificate has expired',
        f'Get "https://{HOST}/v2/": http: server gave HTTP response to HTTPS client',
    ],
    Cause.TEMPORARY: [
        "toomanyrequests: retry after 5 s",
        "received unexpected HTTP status: 503 Service Unavailable",
        f'failed commit on ref "manifest-1@sha256:1": unexpected status from PUT request to {URL}: 503 Unavailable',
        f'failed commit on ref "manifest-1@sha256:1": failed to do request: Put "{URL}": EOF',
        (
            f"writing manifest: uploading manifest TAG to {HOST}/REPOSITORY: received unexpected HTTP status: "
            "500 Internal Server Error"
        ),
        f"uploading manifest TAG to {HOST}/REPOSITORY: invalid status code from registry 502 (Bad Gateway)",
        "error parsing HTTP 429 response body: invalid character 'T' looking for beginning of value: \"Too Many\"",
        f'Get "https://{HOST}/v2/": net/http: TLS handshake timeout',
        f'Get "http://{HOST}/v2/": dial tcp 10.0.0.1:80: connect: connection refused',
        f'Put "{URL}": write tcp 10.0.0.2:1->10.0.0.1:443: write: broken pipe',
        f'Put "{URL}": EOF',
        f'Patch "https://{HOST}/v2/REPOSITORY/blobs/uploads/1": unexpected EOF',
        f'Get "https://{HOST}/v2/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        "unavailable: service unavailable",
    ],
    Cause.DISK: [
        "write /var/lib/docker/tmp/x: no space left on device",
        "mkdir /var/lib/docker/x: Disk quota exceeded",
    ],
    Cause.OTHER: ["manifest invalid: manifest invalid", "received unexpected HTTP status: 301 Moved"],
    None: [
        "unknown: the repository REPOSITORY is locked",
        f"failed to push {HOST}/REPOSITORY:TAG",
        "tag TAG of REPOSITORY",
        f"reading {URL}",
    ],
}
NAMES = [
    ("demo", "1.0"),
    ("resnet-404", "1.0"),
    ("gpt-403", "401"),
    ("team/a-503", "503"),
    ("denied", "denied"),
    ("unauthorized", "EOF"),
    ("no-such-host", "x509"),
    ("toomanyrequests/tls", "unavailable"),
    ("404/not/found", "404"),
]


@pytest.mark.parametrize(("repository", "tag"), NAMES)
@pytest.mark.parametrize(
    ("message", "cause"), [(message, cause) for cause, messages in MESSAGES.items() for message in messages]
)
def test_the_cause_of_a_refusal(message: str, cause: Cause | None, repository: str, tag: str) -> None:
    """Codes and statuses decide, and never the name of a repository or a tag."""
    assert cause == cause_of(message.replace("REPOSITORY", repository).replace("TAG", tag))


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (401, Cause.SIGN_IN),
        (403, Cause.FORBIDDEN),
        (404, Cause.NOT_FOUND),
        (429, Cause.TEMPORARY),
        (500, Cause.TEMPORARY),
        (503, Cause.TEMPORARY),
        (200, None),
        (307, None),
        (400, None),
        (299, None),
    ],
)
def test_the_cause_of_a_status(status: int, cause: Cause | None) -> None:
    """A status that may have several reasons has no cause."""
    assert cause == cause_of_status(status)


ERRORS = {
    Cause.DISK: """\
The engine's disk is full.
    docker system df
    then: docker system prune
    docker said: no space left on device""",
    Cause.SIGN_IN: """\
Registry contoso.azurecr.io refused the push of a:1: you are not signed in (401).
    Sign in with: az acr login --name contoso
    the registry said: no space left on device""",
    Cause.FORBIDDEN: """\
Registry contoso.azurecr.io refused the push of a:1: not allowed (403).
    The identity needs the role AcrPush on this registry (AcrPull to pull); then: az acr login --name contoso
    the registry said: no space left on device""",
    Cause.NOT_FOUND: """\
Registry contoso.azurecr.io refused the push of a:1: it does not exist (404).
    Check the registry and the name of the repository.
    the registry said: no space left on device""",
    Cause.NOT_FOUND_OR_FORBIDDEN: """\
Registry contoso.azurecr.io refused the push of a:1: it does not exist, or you may not access it.
    Check the name of the repository, or sign in with: az acr login --name contoso
    the registry said: no space left on device""",
    Cause.UNKNOWN_HOST: """\
Registry contoso.azurecr.io could not be reached for the push of a:1.
    Check the name: registry = "…" in the table, or --registry
    or, if it is right, the engine's DNS and network
    the registry said: no space left on device""",
    Cause.TLS: """\
Registry contoso.azurecr.io and the engine do not agree on TLS for the push of a:1.
    Give the engine the registry's CA: /etc/docker/certs.d/contoso.azurecr.io/ca.crt
    or, for a registry without TLS, list it in the engine's insecure-registries
    the registry said: no space left on device""",
    Cause.TEMPORARY: """\
Registry contoso.azurecr.io did not accept the push of a:1 in 3 tries.
    Run the same command again later.
    the registry said: no space left on device""",
    Cause.OTHER: """\
Registry contoso.azurecr.io refused the push of a:1.
    See its message; to sign in again: az acr login --name contoso
    the registry said: no space left on device""",
}


@pytest.mark.parametrize("cause", [*Cause, None])
def test_each_cause_has_its_own_message_and_next_step(cause: Cause | None) -> None:
    """The error says what was refused, why, and what to do; its exit code is the registry's or the engine's."""
    error = registry_error(HOST, PUSH, "no space left on device", cause=cause, tries=3)

    code = 3 if cause is Cause.DISK else 6
    assert (code, ERRORS[cause or Cause.OTHER]) == (error.exit_code, str(error))


def test_another_registry_is_signed_in_to_by_docker() -> None:
    """`az acr login` is only for registries of Azure; the caller says where the host was written."""
    errors = [
        registry_error("127.0.0.1:5000", "the pull of a:1", "unauthorized", cause=Cause.SIGN_IN),
        registry_error("r.io", "the pull of a:1", "dial tcp", cause=Cause.UNKNOWN_HOST, host_from="--base"),
        registry_error("ghcr.io", "the pull of a:1", "EOF", cause=Cause.TEMPORARY),
    ]

    expected = """\
Registry 127.0.0.1:5000 refused the pull of a:1: you are not signed in (401).
    Sign in with: docker login 127.0.0.1:5000
    the registry said: unauthorized
Registry r.io could not be reached for the pull of a:1.
    Check the name: --base
    or, if it is right, the engine's DNS and network
    the registry said: dial tcp
Registry ghcr.io did not accept the pull of a:1.
    Run the same command again later.
    the registry said: EOF"""
    assert expected == "\n".join(map(str, errors))


def test_a_registry_at_whose_address_nothing_listens() -> None:
    """The registry has said nothing, so it is to be started or named; to wait may never help."""
    message = 'Get "http://r.io:5000/v2/": dial tcp 10.1.1.1:5000: connect: connection refused'

    error = registry_error("r.io:5000", "the push of a:1", message, cause=cause_of(message), tries=3)

    expected = f"""\
Registry r.io:5000 could not be reached for the push of a:1 in 3 tries: nothing listens at its address.
    Start it, or check the name: registry = "…" in the table, or --registry
    the engine said: {message}"""
    assert (6, expected) == (error.exit_code, str(error))


OFFLINE = {
    "mcr.microsoft.com": "dial tcp: lookup mcr.microsoft.com on 10.0.0.1:53: no such host",
    "docker.io": "dial tcp: lookup registry-1.docker.io: no such host",
    "r.io": "dial tcp: lookup r.io on 127.0.0.53:53: server misbehaving",
    "q.io": "dial tcp: lookup q.io: Temporary failure in name resolution",
    "10.1.1.1": "dial tcp 10.1.1.1:443: connect: network is unreachable",
}


@pytest.mark.parametrize("host", OFFLINE)
def test_an_engine_without_a_network_says_nothing_of_the_name(host: str) -> None:
    """A public registry exists, and who has no network does not learn whether another one does."""
    message = f'Get "https://{host}/v2/": {OFFLINE[host]}'

    error = registry_error(host, f"the pull of {host}/a:1", message, cause=cause_of(message))

    expected = f"""\
Registry {host} could not be reached for the pull of {host}/a:1: the engine has no network, or no DNS.
    Look at the engine's network, DNS and proxies: invoke image.doctor
    or name an image that the engine has: docker images
    the engine said: {message}"""
    assert (6, expected) == (error.exit_code, str(error))


def test_a_name_in_an_address_is_no_sign_of_a_missing_network() -> None:
    """A repository may be called as it likes."""
    message = 'Get "https://r.io/v2/server misbehaving/": dial tcp: lookup r.io: no such host'

    assert "Check the name" in str(registry_error("r.io", PUSH, message, cause=cause_of(message)))


def test_a_registry_cannot_rewrite_the_terminal() -> None:
    """The registry's message is shown without control characters."""
    error = registry_error("ghcr.io", PUSH, "\x1b[2Jdenied\x07", cause=Cause.FORBIDDEN)

    expected = """\
Registry ghcr.io refused the push of a:1: not allowed (403).
    The identity needs the role AcrPush on this registry (AcrPull to pull); then: docker login ghcr.io
    the registry said: denied\N{REPLACEMENT CHARACTER}"""
    assert expected == str(error)


@pytest.mark.parametrize(
    ("message", "is_full"),
    [
        ("executor failed running [/bin/sh -c df]: exit code: 1", False),
        ("pip: OSError: [Errno 28] No space left on device\nexit code: 1", True),
    ],
)
def test_a_full_disk(message: str, is_full: bool) -> None:
    """The phrase of the kernel for a full disk is found anywhere in the output of a build step."""
    assert is_full == (disk_error(message) is not None)
