"""What a run leaves on the engine, found and removed: images on its base, and what BuildKit has cached.

BuildKit does not say who has cached what. What others cache on the same engine meanwhile goes too, which costs
them time and nothing else; two runs at once on one engine would slow each other in any case.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound
from docker.models.images import Image

__all__ = ["Traces", "last_used"]

_TRIES = 5
_LARGE = 50 * 10**6
"""Bytes; smaller layers stay until the end."""


@dataclass
class Traces:
    """The traces of one run; make it before anything is built.

    Args:
        client: the engine.
        base: image that everything of this run stands on; empty before it is there.
        before: ids of what BuildKit had cached before.
    """

    client: docker.DockerClient
    base: str = ""
    before: Collection[str] = field(init=False)

    def __post_init__(self) -> None:
        self.before = {str(record["ID"]) for record in self._records()}

    def sweep(self, began: dt.datetime) -> None:
        """Remove what a run has superseded: images that lost their name, large layers that are unused since *began*."""
        self._remove(self._images(unnamed=True))
        large = [record for record in self._new() if record["Size"] > _LARGE]
        self._prune({str(record["ID"]) for record in large if last_used(record) < began})

    def empty(self) -> None:
        """Remove everything but the base, as if nothing had been built yet."""
        base = self.client.images.get(self.base).id
        left_over = [*self._images(), *self._images(unnamed=True)]
        self._remove(image for image in left_over if image.id != base)
        for _ in range(_TRIES):  # what others are made of goes after them
            left = {str(record["ID"]) for record in self._new()}
            if not left:
                break
            self._prune(left)

    def remove(self) -> None:
        """Remove everything, whatever ended the run."""
        if self.base:
            self.empty()
            self.client.images.remove(self.base, force=True)

    def _images(self, *, unnamed: bool = False) -> Iterator[Image]:
        """The engine's images but for those that others remove meanwhile."""
        filters = {"dangling": True} if unnamed else {}
        for listed in self.client.api.images(filters=filters):
            with suppress(ImageNotFound):
                yield self.client.images.get(listed["Id"])

    def _remove(self, images: Iterable[Image]) -> None:
        """Remove those of *images* that are ours, what was built on others first."""
        ours = [image for image in images if self._is_ours(image)]
        for image in sorted(ours, key=lambda each: str(each.attrs["Created"]), reverse=True):
            with suppress(APIError):  # another was built on it, or it went with its name
                self.client.images.remove(str(image.id), force=True)

    def _is_ours(self, image: Image) -> bool:
        """Whether it stands on this run's base, or is it."""
        with suppress(ImageNotFound):
            own = self._layers(self.client.images.get(self.base))
            return self._layers(image)[: len(own)] == own
        return False

    @staticmethod
    def _layers(image: Image) -> list[str]:
        return list(image.attrs["RootFS"].get("Layers") or [])

    def _new(self) -> Iterator[dict[str, Any]]:
        return (record for record in self._records() if record["ID"] not in self.before)

    def _records(self) -> list[dict[str, Any]]:
        return list(self.client.api.df().get("BuildCache") or [])

    def _prune(self, ids: Collection[str]) -> None:
        if ids:
            pattern = f"^({'|'.join(map(re.escape, sorted(ids)))})$"
            self.client.api.prune_builds(filters={"id": pattern}, all=True)  # type: ignore[arg-type]  # no stub knows it


def last_used(record: dict[str, Any]) -> dt.datetime:
    """When it was used last, to the second: the engine writes more digits than Python reads."""
    text = str(record.get("LastUsedAt") or record["CreatedAt"])
    return dt.datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
