"""What engines hand out, as values."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BuiltImage", "StoredLayers"]


class BuiltImage(NamedTuple):
    """A built image.

    Args:
        id: the engine's own name for it, `sha256:…`, which never moves; a registry's is its digest.
        names: its references, `registry/repository:tag` or `repository:tag`.
        engine: the engine that has it.
        context_sha256: of the build context it was made from.
        user: its runtime user.
        candidate: `login-server/repository@sha256:…` where it waits in a registry; "" where it does not.
        run: the run that built it; "" where none did.
        cached_layers: what it stands on that a registry keeps, `login-server/repository@sha256:…`.
        fingerprint_parts: hashes of its inputs, see `incremental.fingerprint`; empty if they are not known.
        built_at: when it was made, seconds since 1970 (UTC).
        requirements: what was asked for of pip, line by line, see `PythonStep.lines`.
    """

    id: str
    names: tuple[str, ...]
    engine: str
    context_sha256: str
    user: str = ""
    candidate: str = ""
    run: str = ""
    cached_layers: tuple[str, ...] = ()
    fingerprint_parts: Mapping[str, str] = MappingProxyType({})
    built_at: int = 0
    requirements: tuple[str, ...] = ()


class StoredLayers(NamedTuple):
    """A prefix that an engine keeps.

    Args:
        name: `repository:tag`, with its login server where a registry keeps it.
        id: the engine's name for it, a registry's digest.
        size: bytes; 0 where that is not told.
        built_at: seconds since 1970 (UTC).
    """

    name: str
    id: str
    size: int
    built_at: float

    @property
    def tag(self) -> str:
        """Which follows from what makes it."""
        return self.name.rpartition(":")[2]
