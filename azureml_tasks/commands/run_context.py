"""One run of a command: what it is about, and what it needs before any effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.config.problems import FILE
from azureml_tasks.context import build_context
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.errors import EngineError, Problem, SettingsError
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.planning.plan import FEATURE_HELP, Plan, plan
from azureml_tasks.project.load import load
from azureml_tasks.state.records import FOLDER, Records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.config.problems import Override
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.reporter import Reporter

__all__ = ["Prepared", "RunContext", "open_engine", "prepare", "ready", "where_it_was_built"]

_PUSH = "invoke image.push --registry contoso.azurecr.io"
_WORKSPACE = "workspace and resource-group in [tool.azureml-image.acr], for the registry of a workspace"
_BY_ACR = (
    "or hand the build off: invoke image.build --engine acr\n"
    "(a Dockerfile is best tested on an engine of your own first: an agent in the cloud starts with nothing)"
)


class RunContext(NamedTuple):
    """One run of a command: the project's folder, what stands above its table, and where words go."""

    folder: Path
    overrides: Mapping[str, Override]
    engine: str
    reporter: Reporter

    @property
    def records(self) -> Records:
        """What earlier commands left here."""
        return Records(folder=self.folder / FOLDER)


class Prepared(NamedTuple):
    """What every effect needs, made once for a command: the plan, its build context, and the engine."""

    plan: Plan
    context: BuildContext
    engine: Engine


def prepare(job: RunContext, *, keep: bool = False) -> tuple[Plan, BuildContext]:
    """Read the project, decide, and read its files once for their hash; warnings are said here.

    Args:
        job: the run.
        keep: whether the hashes are written down for the next command, as one that only looks must not do.
    """
    hashes = job.records.file_hashes()
    made = plan(load(job.folder, job.overrides, hashes))
    for warning in made.warnings:
        job.reporter.warn(warning)
    seen = build_context.contents_of(made.files, hashes)
    if keep and not job.reporter.dry:
        hashes.keep()
    sha256, parts = build_context.summed(seen)
    dockerfile = render(made)
    return made, BuildContext(
        files=made.files, dockerfile=dockerfile, sha256=sha256, parts=parts, seen=seen, known=hashes
    )


def open_engine(job: RunContext, plan: Plan, *, keep: bool = True) -> Engine:
    """The engine that was asked for; no other ever takes its place, unless `auto` asks for just that.

    Args:
        job: the run.
        plan: the image.
        keep: whether what was found out of the engine is written down, as a command that only looks must not do.

    Raises:
        EngineError: it does not answer, or there is none of that name.
    """
    if job.engine == "acr":
        return _acr(job, plan, keep=keep)
    if job.engine == "docker":
        try:
            return _docker(job, keep=keep)
        except EngineError as error:
            if plan.acr:
                error.next_step += f"\n{_BY_ACR}"
            raise
    if job.engine != "auto":
        raise EngineError(f'There is no engine "{job.engine}".', next_step="Known are docker, acr and auto.")
    try:
        return _docker(job, keep=keep)
    except EngineError as error:
        job.reporter.say(f"{error.what} So Azure Container Registry is the engine, as --engine auto asks.")
    return _acr(job, plan, keep=keep)


def _docker(job: RunContext, *, keep: bool) -> DockerEngine:
    from azureml_tasks.engines.docker.engine import open_docker

    return open_docker(job.records.folder, job.reporter, keep=keep)


def _acr(job: RunContext, plan: Plan, *, keep: bool) -> AcrEngine:
    """The registry that builds, with the local engine, where one answers, for the smoke test.

    Raises:
        SettingsError: no registry is named.
    """
    from azureml_tasks.engines.acr.engine import AcrEngine

    if not plan.registry and not (plan.acr and plan.acr.workspace):
        raise SettingsError([_no_registry("to hand the build off to", or_else=_WORKSPACE)])
    try:
        local = _docker(job, keep=keep)
    except EngineError:
        local = None
    return AcrEngine(plan=plan, records=job.records, reporter=job.reporter, local=local)


def _missing_secrets(made: Plan) -> list[Problem]:
    from azureml_tasks.project import build_secrets

    return build_secrets.missing(made.secrets)


def _no_registry(what_for: str, *, or_else: str) -> Problem:
    fix = f'Write: registry = "contoso.azurecr.io"\nor: {or_else}'
    return Problem(FILE, 0, f"[tool.azureml-image] names no registry {what_for}", fix)


def where_it_was_built(job: RunContext, made: Plan) -> Plan:
    """What was handed off waits in its registry, whatever the table says by now; a flag stands above both."""
    registry = "" if "registry" in job.overrides else job.records.registry()
    return made._replace(registry=registry) if registry and job.engine != "docker" else made


def ready(job: RunContext, *, built: bool = False, building: bool = True, registry: bool = False) -> Prepared:
    """Read, decide and open the engine; what needs no engine to be found wrong is said before it is asked.

    Args:
        job: the run.
        built: whether an image must have been built.
        building: whether one is to be built; what a build alone needs is not asked for otherwise.
        registry: whether one must be named.

    Raises:
        SettingsError: the table is wrong, names no registry, or names a secret that is not there.
        BuildError: nothing is built.
        EngineError: the engine does not answer, or cannot do what the table asks for.
    """
    made, gathered = prepare(job, keep=True)
    made = made if building and not built else where_it_was_built(job, made)
    building = building and not built
    problems = _missing_secrets(made) if building and made.secrets else []
    if registry and not made.registry and job.engine == "docker":
        problems.append(_no_registry("to push to", or_else=_PUSH))
    if problems:
        raise SettingsError(problems)
    if built and not job.reporter.dry:
        job.records.read_build()
    engine = open_engine(job, made)
    job.reporter.say(engine.describe())
    if building and (missing := made.required_features - engine.features):
        what = f"The engine {engine.name} cannot {' or '.join(sorted(missing))}, as the table asks it to."
        raise EngineError(what, next_step="\n".join(FEATURE_HELP[need] for need in sorted(missing)))
    named = made if made.registry or not engine.registry else made._replace(registry=engine.registry)
    if registry and not named.registry:
        raise SettingsError([_no_registry("to push to", or_else=_PUSH)])
    return Prepared(plan=named, context=gathered, engine=engine)
