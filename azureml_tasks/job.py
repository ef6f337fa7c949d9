"""One run of a command: what it is about, and what it needs before any effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks import context
from azureml_tasks.context import Context
from azureml_tasks.dockerfile import render
from azureml_tasks.errors import EngineError, Problem, SettingsError
from azureml_tasks.found import FILE
from azureml_tasks.planning import Plan, plan
from azureml_tasks.project import load
from azureml_tasks.records import FOLDER, Records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.engines.base import Engine
    from azureml_tasks.found import Override
    from azureml_tasks.terminal import Terminal

__all__ = ["Job", "Ready", "open_engine", "prepare", "ready"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a command: the project's folder, what stands above its table, and where words go."""

    folder: Path
    overrides: Mapping[str, Override]
    engine: str
    terminal: Terminal

    @property
    def records(self) -> Records:
        """What earlier commands left here."""
        return Records(folder=self.folder / FOLDER)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What every effect needs, made once for a command: the plan, its build context, and the engine."""

    plan: Plan
    context: Context
    engine: Engine


def prepare(job: Job) -> tuple[Plan, Context]:
    """Read the project, decide, and read its files once for their hash; warnings are said here."""
    project = load(job.folder, job.overrides)
    made = plan(project)
    for warning in made.warnings:
        job.terminal.warn(warning)
    return made, Context(files=made.files, dockerfile=render(made), sha256=context.digest(made.files))


def open_engine(job: Job) -> Engine:
    """The engine that was asked for; no other ever takes its place.

    Raises:
        EngineError: it does not answer, or there is none of that name.
    """
    if job.engine != "docker":
        raise EngineError(f'There is no engine "{job.engine}".', next_step="Known is docker.")
    from azureml_tasks.engines.docker import open_docker

    return open_docker(job.records.folder, job.terminal)


def ready(job: Job, *, built: bool = False, registry: bool = False) -> Ready:
    """Read, decide and open the engine; what needs no engine to be found wrong is said before it is asked.

    Args:
        job: the run.
        built: whether an image must have been built.
        registry: whether one must be named.

    Raises:
        SettingsError: the table is wrong, or names no registry.
        BuildError: nothing is built.
        EngineError: the engine does not answer, or cannot do what the table asks for.
    """
    made, gathered = prepare(job)
    if registry and not made.registry:
        fix = 'Write: registry = "contoso.azurecr.io"\nor: invoke image.push --registry contoso.azurecr.io'
        raise SettingsError([Problem(FILE, 0, "[tool.azureml-image] names no registry to push to", fix)])
    if built and not job.terminal.dry:
        job.records.read_build()
    engine = open_engine(job)
    job.terminal.say(engine.describe())
    if missing := made.needs - engine.can:
        raise EngineError(
            f"The engine {engine.name} cannot do what the table asks for: {', '.join(sorted(missing))}."
        )
    return Ready(plan=made, context=gathered, engine=engine)
