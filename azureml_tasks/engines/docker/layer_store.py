"""The prefixes that the local engine keeps, by the names of their project."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.built_image import StoredLayers
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.incremental.cached_layers import layers_repository

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter

__all__ = ["DockerLayerStore", "built_at", "days_since"]

_KEPT = 2
"""Prefixes of a project that stay: that of the image that is built, and the one before it, to go back to."""


class DockerLayerStore(NamedTuple):
    """The prefixes of one project on a Docker engine.

    Args:
        client: the engine.
        plan: of the project.
        reporter: where words go.
    """

    client: EngineClient
    plan: Plan
    reporter: Reporter

    def all(self) -> list[StoredLayers]:
        """Each name, also those by which machines share them, the newest first; other projects' are none of ours."""
        where = (layers_repository(self.plan), *filter(None, [self.plan.shared_layers]))
        with translate_errors(self.client.host):
            images = self.client.inspect_images(where[0])
        found = [kept for image in images for name in where for kept in _named(image, name)]
        return sorted(found, key=lambda kept: (-kept.built_at, kept.name))

    def remove(self, kept: StoredLayers) -> bool:
        """Remove its name, and with it what nothing else stands on; whether that could be done.

        It cannot be done where it is gone already, or where a container has it, which it goes with.
        """
        if not self.reporter.effect(self.client.docker_command("rmi", kept.name)):
            return False
        with translate_errors(self.client.host):
            return self.client.remove_image(kept.name)

    def forget_old(self, now: Collection[str]) -> None:
        """Remove the names of prefixes but for those with the tags *now*, and the last one before them."""
        others = [kept for kept in self.all() if kept.tag not in now]
        stay = list(dict.fromkeys(kept.tag for kept in others))[: _KEPT - 1]
        for kept in others:
            if kept.tag not in stay and self.remove(kept):
                self.reporter.say(f"removed {kept.name}, which is of no use any more")


def _named(attrs: Mapping[str, Any], where: str) -> list[StoredLayers]:
    """Each name that an image has in the repository *where*."""
    names = [name for name in attrs.get("RepoTags") or () if name.startswith(f"{where}:")]
    size, when = int(attrs.get("Size", 0)), built_at(attrs)
    return [StoredLayers(name=name, id=str(attrs["Id"]), size=size, built_at=when) for name in names]


def days_since(attrs: Mapping[str, Any]) -> float:
    """Days since an image was made."""
    return (time.time() - built_at(attrs)) / 86_400


def built_at(attrs: Mapping[str, Any]) -> float:
    """When an image was made, seconds since 1970; the API gives nanoseconds, which Python's parser does not take."""
    whole, _, fraction = str(attrs["Created"]).rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
