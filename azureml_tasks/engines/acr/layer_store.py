"""The prefixes that a registry keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from azureml_tasks.built_image import StoredLayers
from azureml_tasks.engines.acr import az_commands
from azureml_tasks.incremental.cached_layers import is_layers_tag, layers_repository

if TYPE_CHECKING:
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.registry.api import RegistryApi
    from azureml_tasks.reporter import Reporter

__all__ = ["RegistryLayerStore", "built_at", "prefix_repository"]


def prefix_repository(plan: Plan) -> str:
    """Where a registry keeps the prefixes of *plan*: where the table says, if that is in the same registry."""
    host, _, shared = plan.shared_layers.partition("/")
    return shared if host and host == plan.registry else layers_repository(plan)


@dataclass(frozen=True, kw_only=True)
class RegistryLayerStore:
    """The prefixes of one project in its registry.

    Args:
        repositories: of the registry.
        plan: of the project, with its registry.
        reporter: where words go.
    """

    repositories: RegistryApi
    plan: Plan
    reporter: Reporter

    def all(self) -> list[StoredLayers]:
        """Each, the newest first; tags that cannot be a prefix's are none of ours."""
        found = (
            self._kept(tag)
            for tag in self.repositories.tags(prefix_repository(self.plan))
            if is_layers_tag(tag)
        )
        return sorted(filter(None, found), key=lambda kept: (-kept.built_at, kept.name))

    def _kept(self, tag: str) -> StoredLayers | None:
        where = prefix_repository(self.plan)
        manifest = self.repositories.manifest(where, tag)
        if not manifest:
            return None
        name, when = f"{self.plan.registry}/{where}:{tag}", self.repositories.created(where, manifest)
        return StoredLayers(name=name, id=manifest.digest, size=manifest.size, built_at=built_at(when))

    def remove(self, kept: StoredLayers) -> bool:
        """Delete its manifest, with every tag that it has."""
        where = prefix_repository(self.plan)
        if not self.reporter.effect(az_commands.delete(self.plan.registry, f"{where}@{kept.id}")):
            return False
        self.repositories.delete(where, kept.id)
        return True


def built_at(created: str) -> float:
    """Seconds since 1970 of *created* (RFC 3339, UTC); 0 where nobody knows."""
    try:
        return datetime.fromisoformat(f"{created[:19]}+00:00").timestamp()
    except ValueError:
        return 0.0
