"""Files that are refused because they look like secrets, or like models."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LARGE", "is_suspect_name", "private_key_in"]

LARGE = 100 * 1000 * 1000
"""Bytes from which a file under `code` is taken for a model that lost its way."""

_HARMLESS = (".env.example", ".env.sample", ".env.template", ".env.dist")
_NAMES = (
    ".env",
    ".env.*",
    ".envrc",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".git-credentials",
    ".dockercfg",
    ".htpasswd",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "*.pfx",
    "*.p12",
    "*.keystore",
    "*.ppk",
)
# What the command lines of the clouds and of Docker leave in the folders they are known by.
_PLACES = (
    ".aws/credentials",
    ".azure/accessTokens.json",
    ".azure/msal_token_cache.*",
    ".azure/service_principal_entries.*",
    ".config/gcloud/*.json",
    ".docker/config.json",
    ".kube/config",
    ".ssh/*",
    ".databrickscfg",
)
_HEAD = 4096
_PRIVATE_KEY = re.compile(rb"^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----", re.MULTILINE)
_CLOUD_KEY = re.compile(rb'"type"\s*:\s*"service_account"|"private_key"\s*:\s*"-----BEGIN')


def is_suspect_name(path: str) -> bool:
    """Whether the slash-separated *path* is where credentials are kept."""
    name = path.rpartition("/")[2]
    if name in _HARMLESS:
        return False
    return any(fnmatchcase(name, pattern) for pattern in _NAMES) or any(
        fnmatchcase(f"/{path}", f"*/{place}") for place in _PLACES
    )


def private_key_in(source: Path) -> bool:
    """Whether the first 4 KiB of the file hold a private key (RFC 7468) or a cloud's service account."""
    with source.open("rb") as file:
        head = file.read(_HEAD)
    return bool(_PRIVATE_KEY.search(head) or _CLOUD_KEY.search(head))
