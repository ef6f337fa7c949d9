"""The cached layers that builds have left: list them, and remove those of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands.image_runs import for_all, planned_runs
from azureml_tasks.commands.prepare import prepare_engine
from azureml_tasks.commands.results import CacheEntry
from azureml_tasks.errors import stating
from azureml_tasks.incremental.cached_layers import cached_layers_of, current_tags
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.state.locks import project_lock
from azureml_tasks.timestamps import days_since

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.built_image import StoredLayers
    from azureml_tasks.commands.prepare import Prepared
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.protocol import LayerStore


class _StoredLayers(NamedTuple):
    """Cached layers that are stored somewhere, and the names of the images that would use them now."""

    layers: StoredLayers
    store: LayerStore
    users: set[str]


def list_layers(run: RunContext) -> list[CacheEntry]:
    """Return this project's cached layers on the engine or in the registry, the newest first.

    If the run names one of several images, only those that it would use now are returned.
    """
    return [
        CacheEntry(
            name=each.layers.name,
            id=each.layers.id,
            bytes=each.layers.size,
            days=days_since(each.layers.built_at),
            is_current=bool(each.users),
            is_grown=each.layers.grown,
        )
        for each in _find(run)
        if not run.chosen or run.chosen.value in each.users
    ]


def prune(run: RunContext, *, on_removed: Callable[[str], None]) -> int:
    """Remove the cached layers that a build of the project as it is now would not use, of any of its images.

    Return how many of them there were.

    Args:
        run: the run.
        on_removed: takes the name of each as it is removed.
    """
    with project_lock(run.folder, run.reporter), stating("Nothing more was removed."):
        stored = _find(run)
        # One image may have several names; a registry removes it with all of them.
        current = {each.layers.id for each in stored if each.users}
        unused = [each for each in stored if each.layers.id not in current]
        for each in unused:
            if each.store.remove(each.layers):
                on_removed(each.layers.name)
    return len(unused)


def _find(run: RunContext) -> list[_StoredLayers]:
    """Return all cached layers of the project: its images share them."""
    runs = planned_runs(run, others=True)
    entries: dict[str, _StoredLayers] = {}
    for each, prepared in zip(runs, for_all(runs, prepare_engine), strict=True):
        store = prepared.engine.layer_store(prepared.plan)
        stored = store.all()
        current = _current_tags(prepared, {layers.tag for layers in stored})
        for layers in stored:
            new = _StoredLayers(layers=layers, store=store, users=set())
            entry = entries.setdefault(layers.name, new)
            if layers.tag in current:
                entry.users.add(each.image)
    return sorted(entries.values(), key=lambda each: (-each.layers.built_at, each.layers.name))


def _current_tags(prepared: Prepared, stored: set[str]) -> set[str]:
    plan, engine = prepared.plan, prepared.engine
    parts = fingerprint_parts(plan, prepared.context, engine.base_id(plan))
    return current_tags(cached_layers_of(plan, parts), stored)
