"""Remove what builds of a project have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from azureml_tasks.commands.run_context import (
    open_engine,
    plan_image,
    refuse_foreign_records,
    with_build_registry,
)
from azureml_tasks.errors import stating
from azureml_tasks.state.locks import project_lock
from azureml_tasks.state.runs import has_gone_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.planning.plan import Plan


def clean(run: RunContext, *, on_removed: Callable[[str], None]) -> None:
    """Remove the names of the image that was built last, its cached layers on the engine, and the records.

    What a run of this project that was killed has left goes too: containers, images without a tag, staged files.

    Args:
        run: the run.
        on_removed: takes what was removed, each as it goes.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was removed."):
            refuse_foreign_records(run)
        with stating("Nothing more was removed."):
            for leftover in _remove_leftovers(run):
                on_removed(leftover)
            if not run.records.folder.is_dir():
                run.reporter.say(f"nothing to remove: there is no {run.records.name} here")
                return
            for name in _remove_images(run):
                on_removed(name)
        with stating("Not all records were removed."):
            if run.reporter.effect(["rm", "-r", str(run.records.folder)]):
                run.records.remove()
                on_removed(run.records.name)


def _remove_leftovers(run: RunContext) -> list[str]:
    """Remove what killed runs have left; the engine is not asked if there are no such runs."""
    if not has_gone_runs(run.records.folder):
        return []
    from azureml_tasks.engines.docker.engine import open_docker

    return open_docker(run.records.folder, run.reporter, project=run.folder, keep=False).remove_leftovers()


def _remove_images(run: RunContext) -> Iterator[str]:
    """Remove what builds have left on the engine that has it; a registry's cached layers are the team's, and stay."""
    started, has_build = run.records.started_runs(), run.records.has_build()
    if not has_build and not started:
        return
    planned, acr = plan_image(run)[0], None
    if has_build:
        built_by = run.records.read_build().engine
        engine, plan = _open(
            run, built_by if run.engine == "auto" or built_by == "acr" else run.engine, planned
        )
        yield from engine.remove(run.records.read_all_names())
        if engine.name == "acr":
            acr = engine
        else:
            store = engine.layer_store(plan)
            yield from (layers.name for layers in store.all() if store.remove(layers))
    if acr or started:
        acr = acr or _open(run, "acr", planned)[0]
        yield from cast("AcrEngine", acr).remove_orphans()


def _open(run: RunContext, name: str, planned: Plan) -> tuple[Engine, Plan]:
    """Open the engine *name*; return it with the plan for it."""
    run = run._replace(engine=name)
    plan = with_build_registry(run, planned)
    return open_engine(run, plan), plan
