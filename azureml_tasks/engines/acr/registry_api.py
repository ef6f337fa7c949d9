"""The repositories of a registry by its own API: manifests read, copied and deleted.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md, the same at every registry.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.acr.http import ask_registry, registry_url
from azureml_tasks.errors import RegistryError, RemoteBuildError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse

    from azureml_tasks.engines.acr.registry_tokens import RegistryTokens

__all__ = ["Manifest", "Repositories"]

_ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
_ROLES = {
    "pull": 'the role AcrPull, or "Container Registry Repository Reader"',
    "push": 'the role AcrPush, or "Container Registry Repository Writer"',
    "delete": 'the role AcrDelete, or "Container Registry Repository Contributor"',
}
_OK, _CREATED, _ACCEPTED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 201, 202, 401, 403, 404


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest: its bytes, which its digest names, and the media type that they have."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """`sha256:…` over the bytes."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of the config and of each layer, each once."""
        found = json.loads(self.content)
        parts = [found["config"], *found["layers"]] if "config" in found else []
        return tuple(dict.fromkeys(str(part["digest"]) for part in parts))

    @property
    def size(self) -> int:
        """Bytes of config and layers, as they are stored."""
        found = json.loads(self.content)
        return (
            sum(int(part["size"]) for part in [found["config"], *found["layers"]]) if "config" in found else 0
        )

    @property
    def config(self) -> str:
        """The digest of the image's config; "" for a list of several platforms."""
        return str((json.loads(self.content).get("config") or {}).get("digest", ""))


@dataclass(frozen=True, kw_only=True)
class Repositories:
    """The repositories of one login server.

    Every operation raises RegistryError where the registry refuses, naming the role, and HandOffError where it
    does not answer.
    """

    login_server: str
    tokens: RegistryTokens

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest of a tag or digest; None where there is none."""
        headers = {"Accept": _ACCEPT}
        response = self._send(
            "GET", f"{repository}/manifests/{reference}", "pull", (repository,), headers=headers
        )
        if response.status_code == _NOT_FOUND:
            return None
        name = f"{repository}{'@' if reference.startswith('sha256:') else ':'}{reference}"
        self._expect(response, _OK, f"the manifest {name}", "pull")
        found = Manifest(content=response.content, media_type=response.headers.get("Content-Type", ""))
        if reference.startswith("sha256:"):
            self._confirm(found.content, reference, name)
        return found

    def config(self, repository: str, manifest: Manifest) -> dict[str, Any]:
        """The part `config` of an image's config: its user, labels and so on."""
        found = self._whole_config(repository, manifest).get("config")
        return found if isinstance(found, dict) else {}

    def created(self, repository: str, manifest: Manifest) -> str:
        """When an image was made, RFC 3339; "" where its config does not say."""
        return str(self._whole_config(repository, manifest).get("created") or "")

    def _whole_config(self, repository: str, manifest: Manifest) -> dict[str, Any]:
        if not manifest.config:
            return {}
        response = self._send("GET", f"{repository}/blobs/{manifest.config}", "pull", (repository,))
        self._expect(response, _OK, f"the config of {repository}", "pull")
        self._confirm(response.content, manifest.config, f"the config of {repository}")
        return dict(json.loads(response.content))

    def tags(self, repository: str) -> list[str]:
        """Every tag of *repository*, sorted; none where there is no such repository."""
        response = self._send("GET", f"{repository}/tags/list", "pull", (repository,))
        if response.status_code == _NOT_FOUND:
            return []
        self._expect(response, _OK, f"the tags of {repository}", "pull")
        return sorted(json.loads(response.content).get("tags") or [])

    def copy(self, manifest: Manifest, source: str, target: str, tag: str) -> str:
        """Give *manifest* the name *target*:*tag* without moving a blob; the digest that the registry confirms."""
        for blob in manifest.blobs if source != target else ():
            path = f"{target}/blobs/uploads/?mount={blob}&from={source}"
            response = self._send("POST", path, "push", (target, source))
            self._expect(response, _CREATED, f"to mount a layer of {source} in {target}", "push")
        response = self._send(
            "PUT",
            f"{target}/manifests/{tag}",
            "push",
            (target,),
            content=manifest.content,
            headers={"Content-Type": manifest.media_type},
        )
        self._expect(response, _CREATED, f"the push of {target}:{tag}", "push")
        digest = response.headers.get("Docker-Content-Digest", manifest.digest)
        if digest != manifest.digest:
            raise RegistryError(f"Registry {self.login_server} made {digest} of {manifest.digest}.")
        return manifest.digest

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest with every tag that it has."""
        response = self._send("DELETE", f"{repository}/manifests/{digest}", "delete", (repository,))
        if response.status_code != _NOT_FOUND:
            self._expect(response, _ACCEPTED, f"to delete {repository}@{digest}", "delete")

    def _send(
        self, method: str, path: str, action: str, repositories: tuple[str, ...], **request: Any
    ) -> HttpResponse:
        """Ask, signed for *action* on the first of *repositories* and for pulls from the others."""
        first, *others = repositories
        actions = action if action == "pull" else f"pull,{action}"
        scope = " ".join([f"repository:{first}:{actions}", *(f"repository:{name}:pull" for name in others)])
        response = self._once(method, path, self.tokens.headers(scope), request)
        if response.status_code == _UNAUTHORIZED:  # A kept token may have expired.
            response = self._once(method, path, self.tokens.headers(scope, anew=True), request)
        return response

    def _once(self, method: str, path: str, signed: dict[str, str], request: dict[str, Any]) -> HttpResponse:
        from azure.core.rest import HttpRequest

        headers = {**request.get("headers", {}), **signed}
        url = f"{registry_url(self.login_server)}/v2/{path}"
        return ask_registry(self.login_server, HttpRequest(method, url, **{**request, "headers": headers}))

    def _confirm(self, content: bytes, digest: str, what: str) -> None:
        """What answers may be something between us and the registry."""
        found = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if found != digest:
            fix = "Look at the network between here and the registry, and run the same command again."
            raise RemoteBuildError(f"Registry {self.login_server} gave {found} for {what}.", next_step=fix)

    def _expect(self, response: HttpResponse, status: int, what: str, action: str) -> None:
        if response.status_code == status:
            return
        said = f"the registry said: {clean(response.text()[:500])}" if response.content else ""
        if response.status_code in {_UNAUTHORIZED, _FORBIDDEN}:
            fix = f"Ask for {_ROLES[action]}, on the registry"
            words = f"Registry {self.login_server} refused {what}: not allowed ({response.status_code})."
            raise RegistryError(words, next_step=fix, said=said)
        if response.status_code == _NOT_FOUND:
            words = f"Registry {self.login_server} refused {what}: it is not there (404)."
            raise RegistryError(words, next_step="Look at the registry and the repository's name.", said=said)
        words = f"Registry {self.login_server} refused {what}: it answered {response.status_code}."
        raise RegistryError(words, next_step="Run the same command again later.", said=said)
