"""The repositories of a registry: manifests, tags and configs read, copied and deleted.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from azureml_tasks.errors import RegistryError
from azureml_tasks.plain_text import clean
from azureml_tasks.registry.answers import is_digest, manifest_parts, object_of, tags_of, unreadable
from azureml_tasks.registry.session import AnswerError, message_of
from azureml_tasks.registry.token_claims import granted_actions

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from azureml_tasks.registry.auth import RegistryAuth

_ACCEPT = {
    "Accept": (
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
        "application/vnd.docker.distribution.manifest.v2+json, "
        "application/vnd.docker.distribution.manifest.list.v2+json"
    )
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest: its bytes, over which its digest is computed, and their media type."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """`sha256:…` of the bytes."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of the config and of each layer, each once; empty for an index of several platforms."""
        return tuple(dict.fromkeys(str(part["digest"]) for part in self._parts))

    @property
    def size(self) -> int:
        """Bytes of config and layers as the registry stores them; 0 for an index."""
        return sum(int(part["size"]) for part in self._parts)

    @property
    def config(self) -> str:
        """The digest of the image's config; "" for an index."""
        return str(self._parts[0]["digest"]) if self._parts else ""

    @property
    def _parts(self) -> list[dict[str, Any]]:
        return manifest_parts(self.content, self.digest)


@dataclass(frozen=True, kw_only=True)
class RegistryApi:
    """The API of one registry. Each method raises AnswerError if the registry refuses or does not answer.

    Args:
        auth: of the requests.
        ask_for: returns the next step of an error for a missing permission to `pull`, `push` or `delete`.
    """

    auth: RegistryAuth
    ask_for: Callable[[str], str]

    @property
    def login_server(self) -> str:
        """Such as `contoso.azurecr.io`."""
        return self.auth.session.login_server

    def sign_in(self, repository: str) -> None:
        """Get a token to pull from *repository*, so that a missing permission is found early."""
        self.auth.headers(f"repository:{repository}:pull")

    def granted(self, repository: str, actions: frozenset[str]) -> frozenset[str] | None:
        """Return which of *actions* (`pull`, `push`, `delete`) the registry permits; None if its token does not say.

        Raises:
            AnswerError: the registry does not answer.
        """
        scope = f"repository:{repository}:{','.join(sorted(actions))}"
        try:
            header = self.auth.headers(scope).get("Authorization", "")
        except AnswerError as error:
            if error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                return frozenset()
            raise
        granted = granted_actions(header.removeprefix("Bearer "))
        return None if granted is None else granted.get(repository, frozenset()) & actions

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest of a tag.

        Raises:
            AnswerError: also if there is no such tag.
        """
        name = f"{self.login_server}/{repository}:{tag}"
        response = self._send("HEAD", f"{repository}/manifests/{tag}", "pull", (repository,), headers=_ACCEPT)
        self._expect(response, HTTPStatus.OK, f"to return the digest of {name}", "pull")
        digest = response.headers.get("Docker-Content-Digest", "")
        if not is_digest(digest):
            raise unreadable(f"Registry {self.login_server} returned no digest of {name}.")
        return digest

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return the manifest of a tag or digest; None if there is none."""
        response = self._send(
            "GET",
            f"{repository}/manifests/{reference}",
            "pull",
            (repository,),
            headers=_ACCEPT,
            redirects=True,
        )
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        is_digest = reference.startswith("sha256:")
        name = f"{repository}{'@' if is_digest else ':'}{reference}"
        self._expect(response, HTTPStatus.OK, f"to return the manifest {name}", "pull")
        if is_digest:
            self._verify(response.content, reference, name)
        return Manifest(content=response.content, media_type=response.headers.get("Content-Type", ""))

    def config(self, repository: str, manifest: Manifest) -> dict[str, Any]:
        """Return the config of an image, such as its `User` and `Labels`."""
        config = self._image(repository, manifest).get("config")
        return config if isinstance(config, dict) else {}

    def created(self, repository: str, manifest: Manifest) -> str:
        """Return when an image was created, RFC 3339; "" if its config does not say."""
        return str(self._image(repository, manifest).get("created") or "")

    def _image(self, repository: str, manifest: Manifest) -> dict[str, Any]:
        """https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties."""
        if not manifest.config:
            return {}
        path, what = f"{repository}/blobs/{manifest.config}", f"the config of {repository}"
        response = self._send("GET", path, "pull", (repository,), redirects=True)
        self._expect(response, HTTPStatus.OK, f"to return {what}", "pull")
        self._verify(response.content, manifest.config, what)
        return object_of(response.content, f"Registry {self.login_server} returned {what}, which")

    def tags(self, repository: str) -> list[str]:
        """Return every tag of *repository*, sorted, from all pages; none if there is no such repository.

        https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags

        Raises:
            RegistryError: a page is not what the registry's API answers.
        """
        tags: set[str] = set()
        path = f"{repository}/tags/list"
        visited: set[str] = set()
        while path and path not in visited:
            visited.add(path)
            response = self._send("GET", path, "pull", (repository,))
            if response.status_code == HTTPStatus.NOT_FOUND:
                break
            self._expect(response, HTTPStatus.OK, f"to list the tags of {repository}", "pull")
            subject = f"Registry {self.login_server} returned tags of {repository}"
            tags.update(tags_of(response.content, subject))
            path = self._next_page(response)
        return sorted(tags)

    def _next_page(self, response: requests.Response) -> str:
        """Return the path of the page after *response*, below `/v2/`; "" if it is the last."""
        link = response.links.get("next", {}).get("url", "")
        if not link:
            return ""
        root = f"{self.auth.session.url}/v2/"
        try:
            url = urljoin(response.url, link)
        except ValueError:  # as for "https://["
            url = link
        if not url.startswith(root):
            what = (
                f"Registry {self.login_server} continues its list of tags at another address, {clean(link)}."
            )
            fix = "No token was sent there. Check the network between this machine and the registry."
            raise RegistryError(what, next_step=fix)
        return url.removeprefix(root)

    def copy(self, manifest: Manifest, source: str, target: str, tag: str) -> str:
        """Give an image of the repository *source* the name *target*:*tag*; no blob is transferred.

        Returns:
            its digest, which the registry has confirmed.
        """
        for blob in manifest.blobs if source != target else ():
            path = f"{target}/blobs/uploads/?mount={blob}&from={source}"
            response = self._send("POST", path, "push", (target, source))
            self._expect(response, HTTPStatus.CREATED, f"to mount a layer of {source} in {target}", "push")
        response = self._send(
            "PUT",
            f"{target}/manifests/{tag}",
            "push",
            (target,),
            data=manifest.content,
            headers={"Content-Type": manifest.media_type},
        )
        self._expect(response, HTTPStatus.CREATED, f"the push of {target}:{tag}", "push")
        digest = response.headers.get("Docker-Content-Digest", manifest.digest)
        if digest != manifest.digest:
            raise RegistryError(
                f"Registry {self.login_server} stored {manifest.digest} as another digest, {digest}."
            )
        return manifest.digest

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest with all its tags, if it exists."""
        response = self._send("DELETE", f"{repository}/manifests/{digest}", "delete", (repository,))
        if response.status_code != HTTPStatus.NOT_FOUND:
            self._expect(response, HTTPStatus.ACCEPTED, f"to delete {repository}@{digest}", "delete")

    def _send(
        self, method: str, path: str, action: str, repositories: tuple[str, ...], **options: Any
    ) -> requests.Response:
        """Send a request, authorized for *action* on the first of *repositories* and for pulls from the others."""
        first, *others = repositories
        actions = action if action == "pull" else f"pull,{action}"
        scope = " ".join([f"repository:{first}:{actions}", *(f"repository:{name}:pull" for name in others)])
        response = self._send_once(method, path, scope, options)
        if response.status_code == HTTPStatus.UNAUTHORIZED and self.auth.forget(scope):
            response = self._send_once(method, path, scope, options)
        return response

    def _send_once(self, method: str, path: str, scope: str, options: dict[str, Any]) -> requests.Response:
        headers = {**options.get("headers", {}), **self.auth.headers(scope)}
        session = self.auth.session
        return session.send(method, f"{session.url}/v2/{path}", **{**options, "headers": headers})

    def _verify(self, content: bytes, digest: str, what: str) -> None:
        """Check the digest: a proxy between this machine and the registry may answer in its place."""
        actual = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if actual != digest:
            fix = "Check the network between this machine and the registry, and run the same command again."
            raise RegistryError(f"Registry {self.login_server} returned {actual} for {what}.", next_step=fix)

    def _expect(self, response: requests.Response, status: int, what: str, action: str) -> None:
        if response.status_code == status:
            return
        why, fix = f"it answered {response.status_code}", "Run the same command again later."
        if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            why, fix = f"not allowed ({response.status_code})", self.ask_for(action)
        elif response.status_code == HTTPStatus.NOT_FOUND:
            why, fix = "it does not exist (404)", "Check the registry and the name of the repository."
        raise AnswerError(
            f"Registry {self.login_server} refused {what}: {why}.",
            status=response.status_code,
            next_step=fix,
            said=message_of(response),
        )
