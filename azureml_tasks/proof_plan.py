"""The smoke test as a part of a plan: what is sent, and what must come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Proof", "ProofRequest"]


@dataclass(frozen=True, kw_only=True)
class Proof:
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
    env: Mapping[str, str] = field(default_factory=dict)
    memory: str = ""
    start_timeout: float = 310.0
    repeat: int = 10
    stand_in: bool = False
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class ProofRequest:
    """One request of the proof: what is sent, and what must come back (`expect` may be ABSENT)."""

    name: str
    path: str
    body: bytes
    status: int
    expect: Any
    tolerance: float
    timeout: float
