"""Recognize files that hold credentials, by their path or by their first bytes."""

from __future__ import annotations

import re
from functools import cache

HEAD_SIZE = 4096
"""Bytes at the beginning of a file in which `has_private_key` looks."""

# The names of credential files, then what the command lines of the clouds and of Docker write into their folders.
_CREDENTIALS = r"""
    / (?:
        \.env (?: \. (?! (?:example|sample|template|dist)\Z ) [^/]* )?
      | \.envrc | \.netrc | _netrc | \.pypirc | \.git-credentials | \.dockercfg | \.htpasswd | \.databrickscfg
      | id_(?:rsa|dsa|ecdsa|ed25519)
      | [^/]* \.(?:pfx|p12|keystore|ppk)
      | \.aws/credentials
      | \.azure/ (?: accessTokens\.json | (?:msal_token_cache|service_principal_entries)\. .* )
      | \.config/gcloud/ .* \.json
      | \.docker/config\.json
      | \.kube/config
      | \.ssh/ .*
    ) \Z
"""
_PRIVATE_KEY = re.compile(
    rb'^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----|"type"\s*:\s*"service_account"|"private_key"\s*:\s*"-----BEGIN',
    re.MULTILINE,
)


def is_secret_path(path: str) -> bool:
    """Return whether the slash-separated *path* is one under which credentials are kept."""
    return _credentials().search(f"/{path}") is not None


def has_private_key(head: bytes) -> bool:
    """Return whether *head* holds a private key (RFC 7468) or a cloud's service account.

    Args:
        head: the first `HEAD_SIZE` bytes of a file.
    """
    may_have_one = (
        b"-----BEGIN" in head or b"service_account" in head
    )  # Takes a tenth of the expression's time.
    return may_have_one and _PRIVATE_KEY.search(head) is not None


@cache
def _credentials() -> re.Pattern[str]:
    return re.compile(_CREDENTIALS, re.VERBOSE | re.DOTALL)
