"""What engines and registries say when they refuse, and what we make of it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from azureml_tasks.engines.docker.registry_errors import disk_error, is_passing, registry_error


class Case(NamedTuple):
    """Words, as Docker 20.10, 26.1, Podman 4.3 or a registry say them, and the whole of our own."""

    said: str
    code: int
    text: str
    passing: bool = False


HOST = "contoso.azurecr.io"
CASES = {
    "disk": Case(
        "write /var/lib/docker/tmp/x: no space left on device",
        3,
        """\
The engine's disk is full.
    docker system df
    then: docker system prune
    docker said: write /var/lib/docker/tmp/x: no space left on device""",
    ),
    "quota": Case(
        "mkdir /var/lib/docker/x: Disk quota exceeded",
        3,
        """\
The engine's disk is full.
    docker system df
    then: docker system prune
    docker said: mkdir /var/lib/docker/x: Disk quota exceeded""",
    ),
    "not signed in": Case(
        "unauthorized: authentication required, visit https://aka.ms/acr/authorization for more information.",
        6,
        """\
Registry contoso.azurecr.io refused the push of a:1: you are not signed in (401).
    Sign in with: az acr login --name contoso
    the registry said: unauthorized: authentication required, visit https://aka.ms/acr/authorization \
for more information.""",
    ),
    "no credentials": Case(
        "no basic auth credentials",
        6,
        """\
Registry contoso.azurecr.io refused the push of a:1: you are not signed in (401).
    Sign in with: az acr login --name contoso
    the registry said: no basic auth credentials""",
    ),
    "not allowed": Case(
        "denied: requested access to the resource is denied",
        6,
        """\
Registry contoso.azurecr.io refused the push of a:1: not allowed (403).
    The identity needs the role AcrPush on this registry (AcrPull to pull); then: az acr login --name contoso
    the registry said: denied: requested access to the resource is denied""",
    ),
    "no such host": Case(
        'Get "https://contoso.azurecr.io/v2/": dial tcp: lookup contoso.azurecr.io: no such host',
        6,
        """\
Registry contoso.azurecr.io is not known by that name.
    Look at: registry = "…" in the table, or --registry
    the registry said: Get "https://contoso.azurecr.io/v2/": dial tcp: lookup contoso.azurecr.io: no such host""",
    ),
    "certificate": Case(
        'Get "https://contoso.azurecr.io/v2/": x509: certificate signed by unknown authority',
        6,
        """\
Registry contoso.azurecr.io and the engine do not agree on TLS for the push of a:1.
    Give the engine the registry's CA: /etc/docker/certs.d/contoso.azurecr.io/ca.crt
    or, for a registry without TLS, list it in the engine's insecure-registries
    the registry said: Get "https://contoso.azurecr.io/v2/": x509: certificate signed by unknown authority""",
    ),
    "no TLS": Case(
        "http: server gave HTTP response to HTTPS client",
        6,
        """\
Registry contoso.azurecr.io and the engine do not agree on TLS for the push of a:1.
    Give the engine the registry's CA: /etc/docker/certs.d/contoso.azurecr.io/ca.crt
    or, for a registry without TLS, list it in the engine's insecure-registries
    the registry said: http: server gave HTTP response to HTTPS client""",
    ),
    "unknown": Case(
        "name unknown: repository name not known to registry",
        6,
        """\
Registry contoso.azurecr.io does not know what the push of a:1 is about (404).
    Look at the registry and the repository's name.
    the registry said: name unknown: repository name not known to registry""",
    ),
    "too many": Case(
        "toomanyrequests: retry after 5 s",
        6,
        """\
Registry contoso.azurecr.io did not take the push of a:1, three times in a row.
    Run the same command again later.
    the registry said: toomanyrequests: retry after 5 s""",
        passing=True,
    ),
    "slow handshake": Case(
        "net/http: TLS handshake timeout",
        6,
        """\
Registry contoso.azurecr.io did not take the push of a:1, three times in a row.
    Run the same command again later.
    the registry said: net/http: TLS handshake timeout""",
        passing=True,
    ),
    "no answer": Case(
        'Get "http://contoso.azurecr.io/v2/": dial tcp 10.0.0.1:80: connect: connection refused',
        6,
        """\
Registry contoso.azurecr.io did not take the push of a:1, three times in a row.
    Run the same command again later.
    the registry said: Get "http://contoso.azurecr.io/v2/": dial tcp 10.0.0.1:80: connect: connection refused""",
        passing=True,
    ),
    "server error": Case(
        "received unexpected HTTP status: 503 Service Unavailable",
        6,
        """\
Registry contoso.azurecr.io did not take the push of a:1, three times in a row.
    Run the same command again later.
    the registry said: received unexpected HTTP status: 503 Service Unavailable""",
        passing=True,
    ),
    "anything else": Case(
        "manifest invalid",
        6,
        """\
Registry contoso.azurecr.io refused the push of a:1.
    Look at what it said; signing in anew is: az acr login --name contoso
    the registry said: manifest invalid""",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_refusal_has_its_own_words_and_remedy(case: Case) -> None:
    """What was refused, why and what to do stand in the error, with its exit code."""
    error = registry_error(HOST, "the push of a:1", case.said, often=", three times in a row")

    assert (case.code, case.text) == (error.exit_code, str(error))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_only_what_passes_is_tried_again(case: Case) -> None:
    """Busy registries and broken lines are worth another try; a refusal is not."""
    assert case.passing == is_passing(case.said)


def test_another_registry_is_signed_in_to_by_docker() -> None:
    """`az acr login` is for Azure's registries alone; the place that named the host is the caller's to say."""
    errors = [
        registry_error("127.0.0.1:5000", "the pull of a:1", "unauthorized"),
        registry_error("ghcr.io", "the pull of a:1", "no such host", named="--base"),
        registry_error("ghcr.io", "the pull of a:1", "timeout"),
    ]

    expected = """\
Registry 127.0.0.1:5000 refused the pull of a:1: you are not signed in (401).
    Sign in with: docker login 127.0.0.1:5000
    the registry said: unauthorized
Registry ghcr.io is not known by that name.
    Look at: --base
    the registry said: no such host
Registry ghcr.io did not take the pull of a:1.
    Run the same command again later.
    the registry said: timeout"""
    assert expected == "\n".join(map(str, errors))


def test_a_registry_cannot_rewrite_the_terminal() -> None:
    """What a registry says is shown without the controls that a terminal would obey."""
    error = registry_error("ghcr.io", "the push of a:1", "\x1b[2Jdenied\x07")

    expected = """\
Registry ghcr.io refused the push of a:1: not allowed (403).
    The identity needs the role AcrPush on this registry (AcrPull to pull); then: docker login ghcr.io
    the registry said: denied\N{REPLACEMENT CHARACTER}"""
    assert expected == str(error)


def test_other_words_are_no_full_disk() -> None:
    """Only the kernel's own words for a full disk are one."""
    assert disk_error("executor failed running [/bin/sh -c df]: exit code: 1") is None
