"""Start a remote build without waiting for it, and follow it to its end later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from azureml_tasks.commands.build_step import build_step
from azureml_tasks.commands.image_build import built
from azureml_tasks.commands.image_runs import for_all, of_image, planned_runs
from azureml_tasks.commands.prepare import prepare_build, prepare_engine
from azureml_tasks.commands.run_records import record_build
from azureml_tasks.errors import BuildError, Problem, SettingsError, stating
from azureml_tasks.state.locks import project_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.commands.results import BuildResult, BuildStatus
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.protocol import Engine


def start(
    run: RunContext, *, no_cache: bool, on_started: Callable[[BuildResult], None] = lambda _: None
) -> list[BuildResult]:
    """Start a remote build of each image, and return a result with the run ID for each; without one under --dry.

    Args:
        run: the run of this command.
        no_cache: build every step again.
        on_started: takes the result of each image as its run is started.

    Raises:
        SettingsError: the engine is the local one.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was built."):
            _refuse_local("--no-wait", run.engine)
            runs = planned_runs(run, uses=("base", "tags"))
            prepared = for_all(runs, prepare_build)
            engines = [_remote("--no-wait", each.engine) for each in prepared]
        started = []
        for index, (engine, ready) in enumerate(zip(engines, prepared, strict=True)):
            with of_image(runs, index, "started", state="Nothing was built." if not index else ""):
                start_time = time.monotonic()
                run_id = engine.start(ready.plan, ready.context, no_cache=no_cache)
                image = engine.planned_image(ready.plan, ready.context)._replace(run=run_id)
                status: BuildStatus = "started" if run_id else "planned"
                started.append(built(runs[index], ready, image, status, start_time).result)
            on_started(started[-1])
        return started


def resume(
    run: RunContext, run_id: str, *, on_step: Callable[[BuildResult], None] = lambda _: None
) -> list[BuildResult]:
    """Follow remote builds to their end and record the images, on whichever machine they were started.

    Args:
        run: the run of this command.
        run_id: of the remote build; "" for the last one of each image that was started here.
        on_step: takes the result of each image as its build ends.

    Raises:
        SettingsError: it is not known of which of several images the remote build is.
        BuildError: there is none, or a step failed.
        RemoteBuildError: it did not finish.
    """
    with project_lock(run.folder, run.reporter):
        with stating("Nothing was built."):
            _refuse_local("resume", run.engine)
            runs = _started(planned_runs(run), run_id)
            prepared = for_all(runs, prepare_engine)
            engines = [_remote("resume", each.engine) for each in prepared]
            ids = [run_id or _last_run(each) for each in runs]
        results = []
        for index, (each, engine, ready) in enumerate(zip(runs, engines, prepared, strict=True)):
            with of_image(runs, index, "built"):
                start = time.monotonic()
                with build_step(each, f"build {ready.plan.names[0]}"):
                    image = engine.resume(ready.plan, ready.context, ids[index])
                record_build(each, ready.plan, image)
                results.append(built(each, ready, image, "built", start).result)
            on_step(results[-1])
        return results


def _started(runs: list[RunContext], run_id: str) -> list[RunContext]:
    """Return those of several images whose remote build *run_id* is, or that have an unfinished one.

    Raises:
        SettingsError: the run was not started here, so that its image is not known.
    """
    if len(runs) == 1:
        return runs
    if run_id:
        runs = [each for each in runs if each.records.read_run(run_id)]
        if not runs:
            what = f'is "{run_id}", which was not started here, so it is not known of which image it is'
            raise SettingsError([Problem("--run", 0, what, "Add: --image NAME")])
        return runs
    started = [each for each in runs if each.records.started_runs()]
    return started or runs[:1]


def _last_run(run: RunContext) -> str:
    """Return the ID of the remote build that was started last.

    Raises:
        BuildError: none is unfinished.
    """
    started = run.records.started_runs()
    if not started:
        next_step = "Name one: invoke image.resume --run ID --engine acr"
        raise BuildError("No remote build of this project is unfinished.", next_step=next_step)
    return started[-1].run


def _remote(name: str, engine: Engine) -> AcrEngine:
    _refuse_local(name, engine.name)
    return cast("AcrEngine", engine)


def _refuse_local(name: str, engine: str) -> None:
    """Refuse the local engine for the flag or task *name*."""
    if engine == "docker":
        what = "is for remote builds, and the engine is docker"
        raise SettingsError([Problem(name, 0, what, "Add: --engine acr")])
