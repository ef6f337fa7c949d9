"""The claims of a token, unverified: the registry that receives it checks the signature."""

from __future__ import annotations

import base64
import json
from typing import Any


def claims(token: str) -> dict[str, Any]:
    """Return the claims of *token*; none if it is not a JWT (https://www.rfc-editor.org/rfc/rfc7519#section-3)."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 -- header, claims, signature
        return {}
    try:
        decoded = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def granted_actions(token: str) -> dict[str, frozenset[str]] | None:
    """Return what an access token of a registry grants, repository → actions; None if it does not say.

    https://distribution.github.io/distribution/spec/auth/jwt/; a token server leaves out what it does not grant.
    """
    access = claims(token).get("access")
    if not isinstance(access, list):
        return None
    granted: dict[str, frozenset[str]] = {}
    for entry in access:
        if (
            isinstance(entry, dict)
            and entry.get("type") == "repository"
            and isinstance(entry.get("actions"), list)
        ):
            name = str(entry.get("name"))
            granted[name] = granted.get(name, frozenset()) | {str(action) for action in entry["actions"]}
    return granted
