"""The engine of a run: the names that it may have, and how it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.commands.run_registry import REGISTRY_OF_WORKSPACE, no_registry
from azureml_tasks.errors import EngineError, Problem, SettingsError

if TYPE_CHECKING:
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.planning.plan import Plan

ENGINES = ("docker", "acr", "auto")
"""What `--engine` takes."""
_USE_ACR = (
    "or build in Azure Container Registry: invoke image.build --engine acr\n"
    "(try a new Dockerfile on a local engine first: a remote build starts without any cache)"
)


def engine_problems(name: str, source: str) -> list[Problem]:
    """Return what is wrong with the name of an engine, which *source* gives."""
    if name in ENGINES:
        return []
    return [Problem(source, 0, f'is "{name}", which is not an engine', f"Engines: {', '.join(ENGINES)}.")]


def open_engine(run: RunContext, planned: Plan, *, save_notes: bool = True) -> Engine:
    """Open the engine that the run names. No other takes its place, except with `auto`, which says so.

    Args:
        run: the run.
        planned: the image.
        save_notes: whether the next command may use what was found out about the engine.

    Raises:
        EngineError: it does not answer.
        SettingsError: Azure Container Registry is the engine and no registry is named.
    """
    if run.engine == "acr":
        return _open_acr(run, planned, save_notes=save_notes)
    try:
        return open_local_engine(run, save_notes=save_notes)
    except EngineError as error:
        if run.engine != "auto":
            error.next_step += f"\n{_USE_ACR}" if planned.acr else ""
            raise
        run.reporter.say(f"{error.what} Building in Azure Container Registry instead, as --engine auto says.")
    return _open_acr(run, planned, save_notes=save_notes)


def open_local_engine(run: RunContext, *, save_notes: bool) -> DockerEngine:
    """Open the engine on this machine, once for all images of a run; see `open_engine`.

    Raises:
        EngineError: it does not answer.
    """
    from azureml_tasks.engines.docker.engine import open_docker

    def connect() -> DockerEngine:
        return open_docker(run.records.home, run.reporter, project=run.folder, keep=save_notes)

    return run.shared.docker(connect, run.reporter) if run.shared else connect()


def remove_leftovers(run: RunContext, engine: Engine) -> None:
    """Remove what killed runs of the project have left on the engine and among the records, and say it."""
    for leftover in engine.remove_leftovers():
        run.reporter.say(f"removed what a killed run left: {leftover}")


def _open_acr(run: RunContext, planned: Plan, *, save_notes: bool) -> AcrEngine:
    """Open Azure Container Registry, with the local engine for the smoke test if one answers."""
    from azureml_tasks.engines.acr.engine import AcrEngine

    if not planned.registry and not (planned.acr and planned.acr.workspace):
        raise SettingsError([no_registry(run, "to build in", or_else=REGISTRY_OF_WORKSPACE)])
    try:
        local = open_local_engine(run, save_notes=save_notes)
    except EngineError:
        local = None
    return AcrEngine(
        plan=planned,
        records=run.records,
        reporter=run.reporter,
        local=local,
        project=run.folder,
        sessions=run.shared.sessions if run.shared else {},
    )
