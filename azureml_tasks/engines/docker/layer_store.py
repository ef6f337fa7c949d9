"""The cached layers of a project on a Docker engine.

They are found by the ID that was recorded when they were built or pulled. A name proves nothing: any build on the
engine can give any image any name. So they have a name only to be kept when unused images are pruned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.built_image import StoredLayers
from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.incremental.cached_layers import is_grown_tag, kept_name
from azureml_tasks.timestamps import days_since, epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.layer_records import LayerRecord, LayerRecords


class FoundLayers(NamedTuple):
    """Cached layers that the engine has.

    Args:
        id: of their image.
        name: that keeps them.
        is_kept: whether they have that name.
        built_at: seconds since 1970 (UTC).
        layers: the image's layers, the base's first.
    """

    id: str
    name: str
    is_kept: bool
    built_at: float
    layers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DockerLayerStore:
    """The cached layers of one project on a Docker engine.

    Args:
        client: of the engine.
        records: of the project on this engine.
        plan: of the project.
        reporter: says what is removed.
    """

    client: EngineClient
    records: LayerRecords
    plan: Plan
    reporter: Reporter

    def all(self) -> list[StoredLayers]:
        """Return all recorded cached layers, also by the name under which machines share them, the newest first."""
        with translate_errors(self.client.host):
            stored = [layers for record in self.records.all() for layers in self._stored(record)]
        return sorted(stored, key=lambda layers: (-layers.built_at, layers.name))

    def find(self, tag: str) -> FoundLayers | None:
        """Return the cached layers that are recorded with this *tag*; None if there are none."""
        record = self.records.read(tag)
        image = self.client.inspect_image(record.id) if record else None
        return found_layers(image, kept_name(self.plan, tag)) if image else None

    def use(self, tag: str, layers: FoundLayers) -> None:
        """Record that cached layers are used now, and give them the name that keeps them.

        What cannot be recorded gets no such name: nobody would ever remove it.
        """
        if why := self.records.write(tag, layers.id, layers.name):
            self.reporter.say(f"cached layers cannot be recorded, so the next build builds them again: {why}")
        elif not layers.is_kept:
            self.client.tag_image(layers.id, layers.name)

    def remove(self, layers: StoredLayers) -> bool:
        """Remove the tag, and the image if it has no other one.

        Return False if it is gone already or a container uses it.
        """
        if not self.reporter.effect(self.client.docker_command("rmi", layers.name)):
            return False
        with translate_errors(self.client.host):
            removed = self.client.remove_image(layers.name)
        record = self.records.read(layers.tag)
        if removed and record and record.name == layers.name:
            self.records.forget(layers.tag)
        return removed

    def remove_unused(self, current: Collection[str]) -> None:
        """Remove what this project has not used for a day, and what projects have left whose folder is gone.

        Args:
            current: tags that stay. Of the others the one that was used last stays too, to go back to.
        """
        for record in self.records.all():
            if not self.client.inspect_image(record.id):
                self.records.forget(record.tag)
        others = [layers for layers in self.all() if layers.tag not in current]
        by_use = sorted(others, key=lambda layers: -layers.used_at)
        for layers in others:
            is_last = layers.tag == by_use[0].tag
            if not is_last and days_since(layers.used_at) > 1 and self.remove(layers):
                self.reporter.say(f"removed cached layers that were not used for a day: {layers.name}")
        for records, record in self.records.of_gone_projects():
            if days_since(record.used_at) > 1 and self._remove_record(records, record):
                self.reporter.say(f"removed cached layers of {record.folder}, which is gone: {record.name}")

    def _remove_record(self, records: LayerRecords, record: LayerRecord) -> bool:
        """Remove the cached layers of another project; return False if it was not done."""
        image = self.client.inspect_image(record.name)
        removed = image is not None and image["Id"] == record.id and self.client.remove_image(record.name)
        if removed or not self.client.inspect_image(record.id):
            records.forget(record.tag)
        return removed

    def _stored(self, record: LayerRecord) -> Iterator[StoredLayers]:
        """Yield recorded layers that the engine still has, by each of their names."""
        image = self.client.inspect_image(record.id)
        if not image:
            return
        shared = f"{self.plan.shared_layers}:{record.tag}"
        for name in image.get("RepoTags") or ():
            if name in {record.name, shared}:
                yield StoredLayers(
                    name=name,
                    tag=record.tag,
                    id=record.id,
                    size=int(image.get("Size", 0)),
                    built_at=epoch_seconds(str(image["Created"])),
                    used_at=record.used_at,
                    grown=is_grown_tag(record.tag),
                )


def found_layers(image: Mapping[str, Any], name: str) -> FoundLayers:
    """Return an image, as the engine describes it, as cached layers that *name* keeps."""
    return FoundLayers(
        id=str(image["Id"]),
        name=name,
        is_kept=name in (image.get("RepoTags") or ()),
        built_at=epoch_seconds(str(image["Created"])),
        layers=layers_of(image),
    )


def layers_of(image: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the layers of an image, as the engine describes it, the base's first."""
    return tuple(map(str, (image.get("RootFS") or {}).get("Layers") or ()))
