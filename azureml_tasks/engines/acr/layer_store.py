"""The cached layers of a project in its registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.built_image import StoredLayers
from azureml_tasks.engines.acr import az_commands
from azureml_tasks.incremental.cached_layers import is_layers_tag, layers_repository
from azureml_tasks.state.layer_records import LayerRecords
from azureml_tasks.timestamps import parse_timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.registry.api import RegistryApi
    from azureml_tasks.reporter import Reporter


def shares_layers(plan: Plan) -> bool:
    """Return whether `shared-layers` names a repository of the registry itself."""
    host = plan.shared_layers.partition("/")[0]
    return bool(host) and host == plan.registry


def registry_layers_repository(plan: Plan) -> str:
    """Return the repository of the cached layers of *plan*: `shared-layers` if it is in the same registry."""
    return plan.shared_layers.partition("/")[2] if shares_layers(plan) else layers_repository(plan)


def layer_records(plan: Plan, folder: Path) -> LayerRecords:
    """Return what is recorded of the project's cached layers in its registry; *folder* is the project's."""
    place = f"{plan.registry}/{registry_layers_repository(plan)}"
    return LayerRecords(place=place, project=plan.project_key, folder=folder)


@dataclass(frozen=True, kw_only=True)
class RegistryLayerStore:
    """The cached layers of one project in its registry.

    Args:
        repositories: of the registry.
        plan: of the project, with its registry.
        reporter: gets output.
    """

    repositories: RegistryApi
    plan: Plan
    reporter: Reporter

    @property
    def _repository(self) -> str:
        return registry_layers_repository(self.plan)

    def all(self) -> list[StoredLayers]:
        """Return all cached layers, the newest first; other tags in the repository are ignored."""
        tags = filter(is_layers_tag, self.repositories.tags(self._repository))
        layers = filter(None, map(self._read, tags))
        return sorted(layers, key=lambda stored: (-stored.built_at, stored.name))

    def _read(self, tag: str) -> StoredLayers | None:
        manifest = self.repositories.manifest(self._repository, tag)
        if not manifest:
            return None
        created = parse_timestamp(self.repositories.created(self._repository, manifest))
        return StoredLayers(
            name=f"{self.plan.registry}/{self._repository}:{tag}",
            tag=tag,
            id=manifest.digest,
            size=manifest.size,
            built_at=created.timestamp() if created else 0.0,
        )

    def remove(self, stored: StoredLayers) -> bool:
        """Delete the manifest of *stored*, with all its tags; return False under --dry."""
        image = f"{self._repository}@{stored.id}"
        if not self.reporter.effect(az_commands.delete(self.plan.registry, image)):
            return False
        self.repositories.delete(self._repository, stored.id)
        return True
