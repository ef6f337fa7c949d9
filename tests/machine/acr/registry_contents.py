"""The contents of the registry."""

from __future__ import annotations

import http
import json
from dataclasses import dataclass

from tests.machine.acr.data_plane import DataPlane
from tests.machine.acr.proxy import ask

__all__ = ["RegistryContents"]

_SECONDS = 300.0
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        *("docker.distribution.manifest.v2", "docker.distribution.manifest.list.v2"),
        *("oci.image.manifest.v1", "oci.image.index.v1"),
    )
)


@dataclass(frozen=True)
class RegistryContents:
    """Reads the real registry directly, regardless of faults and permissions."""

    plane: DataPlane

    def tags(self, repository: str) -> dict[str, str]:
        """Return tag -> digest; empty if there is no such repository."""
        target = f"/v2/{repository}/tags/list"
        status, _, body = ask(self.plane.upstream, "GET", target, self._pull(repository))
        names = json.loads(body).get("tags") if status == http.HTTPStatus.OK else None
        digests = {name: self.digest(repository, name) for name in names or []}
        return {name: digest for name, digest in digests.items() if digest}

    def manifest(self, repository: str, reference: str) -> bytes:
        """Return a manifest by its tag or digest.

        Raises:
            LookupError: there is none.
        """
        target = f"/v2/{repository}/manifests/{reference}"
        status, _, body = ask(self.plane.upstream, "GET", target, self._pull(repository))
        if status != http.HTTPStatus.OK:
            raise LookupError(f"{repository} has no {reference}: {status} {body.decode()}")
        return body

    def digest(self, repository: str, tag: str) -> str | None:
        """Return the digest of a tag; None if there is no such tag."""
        target = f"/v2/{repository}/manifests/{tag}"
        _, headers, _ = ask(self.plane.upstream, "HEAD", target, self._pull(repository))
        return headers.get("docker-content-digest")

    def _pull(self, repository: str) -> dict[str, str]:
        access = [{"type": "repository", "name": repository, "actions": ["pull"]}]
        token = self.plane.access_token("loopback", access, seconds=_SECONDS)
        return {"Authorization": f"Bearer {token}", "Accept": _MANIFESTS}
