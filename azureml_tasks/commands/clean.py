"""Remove what builds of a project have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.commands.image_runs import image_runs
from azureml_tasks.commands.run_context import refuse_foreign_records
from azureml_tasks.commands.run_engine import open_engine
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.commands.run_registry import with_build_registry
from azureml_tasks.errors import stating
from azureml_tasks.state.locks import project_lock
from azureml_tasks.state.runs import has_gone_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.state.records import Records


class _Recorded(NamedTuple):
    """An image that may have been built.

    Args:
        run: whose records are about it.
        planning: of an image of the table: that one, or another one if the table does not have it any more.
    """

    run: RunContext
    planning: RunContext


def clean(run: RunContext, *, on_removed: Callable[[str], None]) -> None:
    """Remove the names of the images that were built last, their cached layers on the engine, and the records.

    So what the table had before goes too: images that it does not name any more, and the table's own one. If the run
    names one of several images, its cached layers stay, because the images share them.

    An image whose name a later build took goes as well, as an engine keeps it without a name.

    What a run of this project that was killed has left goes too: containers, images without a tag, staged files.

    Args:
        run: the run.
        on_removed: takes what was removed, each as it goes.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was removed."):
            refuse_foreign_records(run)
            runs = image_runs(run)
        with stating("Nothing more was removed."):
            for leftover in _remove_leftovers(run):
                on_removed(leftover)
            records = runs[0].records if run.chosen else run.records
            if not records.folder.is_dir():
                run.reporter.say(f"nothing to remove: there is no {records.name} here")
                return
            for recorded in _recorded(run, runs):
                for name in _remove_images(recorded, cached_layers=not run.chosen):
                    on_removed(name)
        with stating("Not all records were removed."):
            if run.reporter.effect(["rm", "-r", str(records.folder)]):
                records.remove()
                on_removed(records.name)


def _recorded(run: RunContext, runs: list[RunContext]) -> Iterator[_Recorded]:
    """Yield every image that has records, or the one that the run names."""
    of_table = {each.image: each for each in runs}
    records: list[Records] = [run.records, *run.records.of_images()]
    for name in [each.image for each in records] if not run.chosen else of_table:
        planning = of_table.get(name, runs[0])
        of_image = planning if planning.image == name else run._replace(image=name, shared=planning.shared)
        yield _Recorded(run=of_image, planning=planning)


def _remove_leftovers(run: RunContext) -> list[str]:
    """Remove what killed runs have left; the engine is not asked if there are no such runs."""
    if not has_gone_runs(run.records.home):
        return []
    from azureml_tasks.engines.docker.engine import open_docker

    return open_docker(run.records.home, run.reporter, project=run.folder, keep=False).remove_leftovers()


def _remove_images(recorded: _Recorded, *, cached_layers: bool) -> Iterator[str]:
    """Remove what builds have left on the engine that has it; a registry's cached layers are the team's, and stay."""
    run = recorded.run
    started, has_build = run.records.started_runs(), run.records.has_build()
    if not has_build and not started:
        return
    planned, acr = plan_image(recorded.planning)[0], None
    if has_build:
        built_by = run.records.read_build().engine
        engine, plan = _open(
            run, built_by if run.engine == "auto" or built_by == "acr" else run.engine, planned
        )
        yield from engine.remove(run.records.read_all_names())
        if engine.name == "acr":
            acr = engine
        else:
            yield from _remove_replaced(run, engine)
        if engine.name != "acr" and cached_layers:
            store = engine.layer_store(plan)
            yield from (layers.name for layers in store.all() if store.remove(layers))
    if acr or started:
        acr = acr or _open(run, "acr", planned)[0]
        yield from cast("AcrEngine", acr).remove_orphans()


def _remove_replaced(run: RunContext, engine: Engine) -> Iterator[str]:
    """Remove the images whose names later builds have taken; one that has a name stays."""
    for image_id in run.records.replaced_images():
        yield from engine.remove(BuiltImage(id=image_id, names=(), engine=engine.name, context_sha256=""))


def _open(run: RunContext, name: str, planned: Plan) -> tuple[Engine, Plan]:
    """Open the engine *name*; return it with the plan for it."""
    run = run._replace(engine=name)
    plan = with_build_registry(run, planned)
    return open_engine(run, plan), plan
