"""The smoke test as a part of a plan: what is sent, and what must come back."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Proof", "ProofRequest"]


class Proof(NamedTuple):
    """The smoke test, with its files read.

    Args:
        requests: one for each request, in order.
        model: absolute path of what is mounted; "" for nothing.
        env: variables of the container.
        memory: limit as Docker writes it; "" for none.
        start_timeout: seconds.
        repeat: how often each request is sent.
        stand_in: whether an entry script of ours serves, since the image has none.
        sha256: over all of this, in hexadecimal: a pass holds for one proof alone.
    """

    requests: tuple[ProofRequest, ...] = ()
    model: str = ""
    env: Mapping[str, str] = MappingProxyType({})
    memory: str = ""
    start_timeout: float = 310.0
    repeat: int = 10
    stand_in: bool = False
    sha256: str = ""


class ProofRequest(NamedTuple):
    """One request of the proof: what is sent, and what must come back (`expect` may be ABSENT)."""

    name: str
    path: str
    body: bytes
    status: int
    expect: Any
    tolerance: float
    timeout: float
