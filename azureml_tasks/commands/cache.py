"""The cached layers that builds have left: list them, and remove those of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.commands.results import CacheEntry
from azureml_tasks.commands.run_context import prepare_engine
from azureml_tasks.errors import stating
from azureml_tasks.incremental.cached_layers import cached_layers_of, current_tags
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from azureml_tasks.state.locks import project_lock
from azureml_tasks.timestamps import days_since

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.commands.run_context import Prepared, RunContext


def list_layers(run: RunContext) -> list[CacheEntry]:
    """Return this project's cached layers on the engine or in the registry, the newest first."""
    return _entries(prepare_engine(run))


def prune(run: RunContext, *, on_removed: Callable[[str], None]) -> None:
    """Remove the cached layers that a build of the project as it is now would not use.

    Args:
        run: the run.
        on_removed: takes the name of each as it is removed.
    """
    with project_lock(run.folder, run.reporter), stating("Nothing more was removed."):
        prepared = prepare_engine(run)
        entries = _entries(prepared)
        # One image may have several names; a registry removes it with all of them.
        current = {entry.layers.id for entry in entries if entry.is_current}
        store = prepared.engine.layer_store(prepared.plan)
        for entry in entries:
            if entry.layers.id not in current and store.remove(entry.layers):
                on_removed(entry.layers.name)


def _entries(prepared: Prepared) -> list[CacheEntry]:
    plan, engine = prepared.plan, prepared.engine
    parts = fingerprint_parts(plan, prepared.context, engine.base_id(plan))
    stored = engine.layer_store(plan).all()
    current = current_tags(cached_layers_of(plan, parts), {layers.tag for layers in stored})
    return [
        CacheEntry(layers=layers, days=days_since(layers.built_at), is_current=layers.tag in current)
        for layers in stored
    ]
