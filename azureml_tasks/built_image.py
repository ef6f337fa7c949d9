"""Images and cached layers as values."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class BuiltImage(NamedTuple):
    """A built image.

    Args:
        id: the engine's ID, `sha256:…`; for an image in a registry its digest.
        names: image references, `registry/repository:tag` or `repository:tag`.
        engine: name of the engine that has it.
        context_sha256: hash of its build context.
        user: its runtime user.
        candidate: `login-server/repository@sha256:…` if it waits in a registry for its smoke test; else "".
        run: ID of the remote build; "" if it was built locally.
        cached_layers: `login-server/repository@sha256:…` of the cached layers that it is based on, if a registry has
            them.
        fingerprint_parts: hashes of its inputs, see `incremental.fingerprint`; empty if they are not known.
        installed_at: when its packages were installed, seconds since 1970 (UTC).
        requirements: what pip was asked to install, line by line, see `PythonStep.lines`.
        version: of the project; "" if it has none.
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
    installed_at: int = 0
    requirements: tuple[str, ...] = ()
    version: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of its names."""
        return tuple(name.rpartition(":")[2] for name in self.names)


class PushedTag(NamedTuple):
    """A tag in a registry after its push.

    Args:
        digest: `sha256:…`, that of the image.
        before: what the tag named before; "" if there was no such tag, None if the registry did not say.
    """

    digest: str
    before: str | None = ""


class StoredLayers(NamedTuple):
    """Cached layers on an engine or in a registry.

    Args:
        name: `repository:tag`, with the login server if a registry has them.
        tag: follows from the inputs of the layers.
        id: the engine's ID; for layers in a registry their digest.
        size: bytes; 0 if not known.
        built_at: seconds since 1970 (UTC).
        used_at: when a build used them last, seconds since 1970 (UTC); 0 if not known.
        grown: whether packages were added to them later, see `incremental.added_requirements`.
    """

    name: str
    tag: str
    id: str
    size: int
    built_at: float
    used_at: float = 0
    grown: bool = False
