"""Remove what a run leaves on the engine: Azure discards its agents, but this engine stays."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from tests.machine import builder_cache

__all__ = ["EngineCleanup"]

_MEGABYTES_64 = 64 * 1024 * 1024
_PAGE = 4096


@dataclass(kw_only=True)
class EngineCleanup:
    """The cleanup of one run.

    Args:
        client: the engine.
        run: a word that no other run has.
        keep: name under which built images stay until the loopback ends, so that their layers are a cache.
    """

    client: docker.DockerClient
    run: str
    keep: str
    shared_memory: int = field(init=False)
    before: dict[str, str | None] = field(default_factory=dict)
    images: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The containers of a build carry no label and no name; this limit, which nothing ever reaches, is
        # the one thing of theirs that can be given and does not get into the image.
        self.shared_memory = _MEGABYTES_64 + random.randrange(1, 250_000) * _PAGE  # noqa: S311 -- no secret

    def remember(self, names: Iterable[str]) -> None:
        """Remember the images with these names before the run renames them."""
        for name in names:
            self.before.setdefault(name, self._image(name))

    def has_lost_a_step(self, output: str) -> bool:
        """Return whether the image of a step of a build is gone, or one that the build looked at, by its *output*.

        A build of somebody else removes it from the cache of the builder; on Azure, the engine is the agent's alone.
        """
        gone = any(legacy and self._image(legacy) is None for legacy, _ in self.images)
        return gone or builder_cache.has_lost_an_image(output)

    def remove(self) -> None:
        """Remove containers, networks and images of the run, and restore the names that it took."""
        self.remove_containers()
        for network in self.client.networks.list(names=[self.run]):
            with suppress(NotFound):
                network.remove()
        for legacy, buildkit in self.images[-1:]:
            self._put_away(legacy or buildkit)
        for name, image in self.before.items():
            now = self._image(name)
            if now is None or now == image:
                continue
            self._put_away(now)
            self.client.images.remove(name, force=True)
            if image:
                with suppress(ImageNotFound):
                    self.client.images.get(image).tag(name)

    def _put_away(self, image: str) -> None:
        """Keep an image for its layers, or remove it if it has no name."""
        with suppress(ImageNotFound, APIError):  # what depends on it keeps it
            stored = self.client.images.get(image)
            if self.keep:
                stored.tag(self.keep, tag=str(stored.id).rpartition(":")[2][:32])
            elif not stored.tags:
                self.client.images.remove(image)

    def remove_containers(self) -> None:
        """Remove every container of the run."""
        for container in self.client.api.containers(all=True):
            with suppress(NotFound, APIError):
                if self._is_ours(container):
                    self._remove_container(container["Id"])

    def _remove_container(self, container: str) -> None:
        """Remove a container, or wait until the engine has, which removes that of a cancelled build itself."""
        try:
            self.client.api.remove_container(container, force=True, v=True)
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise
            self.client.api.wait(container, timeout=60, condition="removed")

    def _is_ours(self, container: Mapping[str, Any]) -> bool:
        labels = container.get("Labels")
        if isinstance(labels, dict) and self.run in labels:
            return True
        details = self.client.api.inspect_container(container["Id"])
        return bool(details["HostConfig"]["ShmSize"] == self.shared_memory)

    def _image(self, name: str) -> str | None:
        try:
            image_id = self.client.images.get(name).id
        except (ImageNotFound, APIError):
            return None
        return str(image_id)
