"""The cached layers of a project on a Docker engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.built_image import StoredLayers
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.incremental.cached_layers import is_grown_tag, local_layers_repository
from azureml_tasks.state.last_use import forget_use, last_use, note_use
from azureml_tasks.timestamps import days_since, epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter


@dataclass(frozen=True, kw_only=True)
class DockerLayerStore:
    """The cached layers of one project on a Docker engine.

    Args:
        client: of the engine.
        engine_id: the engine's own ID.
        plan: of the project.
        reporter: says what is removed.
    """

    client: EngineClient
    engine_id: str
    plan: Plan
    reporter: Reporter

    def all(self) -> list[StoredLayers]:
        """Return every tag, also those under which machines share them, the newest first."""
        repositories = (local_layers_repository(self.plan), *filter(None, [self.plan.shared_layers]))
        with translate_errors(self.client.host):
            images = self.client.inspect_images(repositories[0])
        stored = [self._stored(image, name) for image in images for name in _names(image, repositories)]
        return sorted(stored, key=lambda layers: (-layers.built_at, layers.name))

    def remove(self, layers: StoredLayers) -> bool:
        """Remove the tag, and the image if it has no other one.

        Return False if it is gone already or a container uses it.
        """
        if not self.reporter.effect(self.client.docker_command("rmi", layers.name)):
            return False
        with translate_errors(self.client.host):
            removed = self.client.remove_image(layers.name)
        if removed:
            forget_use(self.engine_id, layers.name)
        return removed

    def use(self, name: str, image_id: str) -> None:
        """Tag cached layers, also if they have that tag already: the engine notes when it tagged an image last."""
        self.client.tag_image(image_id, name)
        note_use(self.engine_id, name)

    def remove_unused(self, current: Collection[str]) -> None:
        """Remove what nobody has used for a day, since another build may still use the rest.

        Args:
            current: tags that stay. Of the others the one that was used last stays too, to go back to.
        """
        others = [layers for layers in self.all() if layers.tag not in current]
        by_use = sorted(others, key=lambda layers: -layers.used_at)
        for layers in others:
            is_last = layers.tag == by_use[0].tag
            if not is_last and days_since(layers.used_at) > 1 and self.remove(layers):
                self.reporter.say(f"removed cached layers that were not used for a day: {layers.name}")

    def _stored(self, image: Mapping[str, Any], name: str) -> StoredLayers:
        built_at = epoch_seconds(str(image["Created"]))
        tagged_at = epoch_seconds(str((image.get("Metadata") or {}).get("LastTagTime", "")))
        return StoredLayers(
            name=name,
            id=str(image["Id"]),
            size=int(image.get("Size", 0)),
            built_at=built_at,
            used_at=max(built_at, tagged_at, last_use(self.engine_id, name)),
            grown=is_grown_tag(name),
        )


def _names(image: Mapping[str, Any], repositories: Collection[str]) -> list[str]:
    """Return the names that an image has in *repositories*."""
    return [name for name in image.get("RepoTags") or () if name.rpartition(":")[0] in repositories]
