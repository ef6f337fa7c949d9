"""Signed tokens, which a test can expire."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.machine.acr.certificates import Certificates

__all__ = ["Claims", "Issuer"]

_COORDINATE = 32


@dataclass(kw_only=True)
class Claims:
    """The claims of a token.

    Args:
        kind: `aad`, `refresh` or `registry`.
        audience: for whom it is.
        subject: who may use it: `caller` or `run`.
        expires: seconds since the epoch; set to 0 by a test that lets it expire.
    """

    kind: str
    audience: str
    subject: str
    expires: float

    @property
    def expired(self) -> bool:
        """Whether it has expired."""
        return time.time() >= self.expires


@dataclass
class Issuer:
    """Issues tokens, and remembers them.

    Args:
        certificates: whose key signs.
    """

    certificates: Certificates
    _issued: dict[str, Claims] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, claims: Claims, more: Mapping[str, Any]) -> str:
        """Return a signed token (JWT) with *claims* and *more*."""
        now = int(time.time())
        payload = {
            "aud": claims.audience,
            "exp": int(claims.expires),
            "iat": now,
            "nbf": now - 5,  # two clocks may differ
            "jti": str(uuid.uuid4()),
            **more,
        }
        text = self._signed(payload)
        with self._lock:
            self._issued[text] = claims
        return text

    def claims(self, token: str) -> Claims | None:
        """Return the claims of a token; None if it was not issued here."""
        with self._lock:
            return self._issued.get(token)

    def expire(self) -> None:
        """Expire every token that was issued."""
        with self._lock:
            for claims in self._issued.values():
                claims.expires = 0

    def _signed(self, payload: Mapping[str, Any]) -> str:
        chain = [base64.b64encode(self.certificates.signing_der()).decode()]
        header = {"typ": "JWT", "alg": "ES256", "x5c": chain}
        text = f"{_part(header)}.{_part(payload)}"
        signature = self.certificates.signer.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        numbers = decode_dss_signature(signature)
        raw = b"".join(number.to_bytes(_COORDINATE, "big") for number in numbers)
        return f"{text}.{_base64(raw)}"


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
