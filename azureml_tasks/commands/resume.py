"""Start a remote build without waiting for it, and follow it to its end later."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from azureml_tasks.commands.pipeline import record_build
from azureml_tasks.commands.results import BuildResult
from azureml_tasks.commands.run_context import prepare_build, prepare_engine
from azureml_tasks.errors import BuildError, Problem, SettingsError, stating
from azureml_tasks.state.locks import project_lock

if TYPE_CHECKING:
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.protocol import Engine


def start(run: RunContext, *, no_cache: bool) -> str:
    """Start a remote build and return its run ID; "" under --dry.

    Raises:
        SettingsError: the engine is the local one.
    """
    with project_lock(run.folder, run.reporter), stating("Nothing was built."):
        _refuse_local("--no-wait", run.engine)
        prepared = prepare_build(run)
        engine = _remote("--no-wait", prepared.engine)
        return engine.start(prepared.plan, prepared.context, no_cache=no_cache)


def resume(run: RunContext, run_id: str) -> BuildResult:
    """Follow a remote build to its end and record the image, on whichever machine it was started.

    Args:
        run: the run of this command.
        run_id: of the remote build; "" for the last one that was started here.

    Raises:
        BuildError: there is none, or a step failed.
        RemoteBuildError: it did not finish.
    """
    with project_lock(run.folder, run.reporter), stating("Nothing was built."):
        _refuse_local("image.resume", run.engine)
        prepared = prepare_engine(run)
        engine = _remote("image.resume", prepared.engine)
        started = run.records.started_runs()
        run_id = run_id or (started[-1].run if started else "")
        if not run_id:
            next_step = "Name one: invoke image.resume --run ID --engine acr"
            raise BuildError("No remote build of this project is unfinished.", next_step=next_step)
        image = engine.resume(prepared.plan, prepared.context, run_id)
        record_build(run, prepared.plan, image)
        return BuildResult(image=image)


def _remote(name: str, engine: Engine) -> AcrEngine:
    _refuse_local(name, engine.name)
    return cast("AcrEngine", engine)


def _refuse_local(name: str, engine: str) -> None:
    """Refuse the local engine for the flag or task *name*."""
    if engine == "docker":
        what = "is for remote builds, and the engine is docker"
        raise SettingsError([Problem(name, 0, what, "Add: --engine acr")])
