"""One run of a command: what it is about, and what is read and opened before any effect."""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands.base_checks import compare_pythons, refuse_by_base, refuse_missing_features
from azureml_tasks.config.allowed_registries import AllowedRegistries
from azureml_tasks.config.problems import FILE
from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.errors import BuildError, EngineError, FileProblem, Problem, SettingsError
from azureml_tasks.incremental.cached_layers import recorded_tags
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.planning.plan import Plan, plan
from azureml_tasks.project.load import load, unread_warning
from azureml_tasks.state.own_records import foreign_records
from azureml_tasks.state.project_identity import project_key
from azureml_tasks.state.records import FOLDER, Records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from azureml_tasks.commands.shared import Shared
    from azureml_tasks.config.problems import Override
    from azureml_tasks.context.file_hashes import FileHashes
    from azureml_tasks.engines.acr.engine import AcrEngine
    from azureml_tasks.engines.docker.engine import DockerEngine
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.project.build_secrets import SecretSource
    from azureml_tasks.reporter import Reporter

ENGINES = ("docker", "acr", "auto")
"""What `--engine` takes."""
_SOURCE_BUILDS = (
    "packages may be built from source while the secrets are mounted, so their code can read the secrets: "
    "--allow-source-builds"
)
_PUSH_TO, _RELEASE_TO = (f"invoke image.{task} --registry contoso.azurecr.io" for task in ("push", "release"))
_REGISTRY_OF_WORKSPACE = (
    "workspace and resource-group in [tool.azureml-image.acr], for the registry of a workspace"
)
_USE_ACR = (
    "or build in Azure Container Registry: invoke image.build --engine acr\n"
    "(try a new Dockerfile on a local engine first: a remote build starts without any cache)"
)


class RunContext(NamedTuple):
    """One run of a command.

    Args:
        folder: of the project.
        reporter: takes progress, warnings and effects.
        engine: one of `ENGINES`.
        overrides: key of the table → value of this run that takes precedence.
        cache_scope: whose caches are used: runs with another scope share none; "" for the usual ones.
        secrets: ID of a secret → where it is.
        source_builds: whether packages may be built from source while secrets are mounted.
        allowed_registries: that code and models may be sent to.
        state: folder for the records, each project's in its own; None for `.azureml-image` of the project.
        chosen: the image that the run names; None for all, or if the table itself is the image.
        image: of which of the table's images this run is, see `image_runs`; "" if the table itself is the image.
        shared: what the images of one run share; None if the table itself is the image.
        root: folder that the project's files must be in, an absolute path; None for the one that the table says.
    """

    folder: Path
    reporter: Reporter
    engine: str = "docker"
    overrides: Mapping[str, Override] = MappingProxyType({})
    cache_scope: str = ""
    secrets: Mapping[str, SecretSource] = MappingProxyType({})
    source_builds: bool = False
    allowed_registries: AllowedRegistries = AllowedRegistries()
    state: Path | None = None
    chosen: Override | None = None
    image: str = ""
    shared: Shared | None = None
    root: Override | None = None

    @property
    def project_key(self) -> str:
        """The key under which caches of the project are kept."""
        return project_key(self.folder, self.cache_scope)

    @property
    def records(self) -> Records:
        """What earlier commands left for the project, or for the image."""
        home = self.state / self.project_key if self.state else self.folder / FOLDER
        return Records(folder=home / self.image if self.image else home, image=self.image)

    def file_hashes(self) -> FileHashes:
        """Return the hashes of the project's files that are known."""
        return self.shared.hashes if self.shared else self.records.file_hashes()


def refuse_foreign_records(run: RunContext) -> None:
    """Refuse records that are not this machine's own, so that nobody's commit says what was built, tested and pushed.

    Raises:
        SettingsError: their folder is a link, no folder, or tracked by git.
    """
    if run.shared:  # `image_runs` has looked at the records of all its images.
        return
    if problem := foreign_records(run.records.home, run.image):
        raise SettingsError([problem if run.state else FileProblem(*problem)])


class Prepared(NamedTuple):
    """What every effect needs: the plan, its build context, and the engine."""

    plan: Plan
    context: BuildContext
    engine: Engine


def planned_image(run: RunContext, hashes: FileHashes) -> Plan:
    """Read the project and plan the image, with what only the run decides.

    Args:
        run: the run.
        hashes: spare files that have not changed from being read again.

    Raises:
        SettingsError: with everything that is wrong in the table and in the files it names.
    """
    if run.shared and run.image in run.shared.plans:
        return run.shared.plans[run.image]
    commit = run.shared.commit(run.folder) if run.shared else None
    project = load(
        run.folder,
        run.overrides,
        hashes,
        run.allowed_registries,
        root=run.root,
        image=run.image,
        wait_for_git=commit,
    )
    planned = plan(project)._replace(project_key=run.project_key, cache_scope=run.cache_scope)
    if not run.image:  # Of several images another one may use a secret.
        planned = planned._replace(warnings=(*planned.warnings, *unused_secrets(run, [planned])))
    planned = _with_secrets(run, planned)
    if run.shared:
        run.shared.plans[run.image] = planned
    return planned


def unused_secrets(run: RunContext, plans: Sequence[Plan]) -> list[str]:
    """Return a warning for each secret that a flag of the run gives, and that no image uses."""
    used = {secret.id for planned in plans for secret in planned.secrets}
    return [
        f"--secret {name} is not used: tool.azureml-image.secrets does not want it, or pip installs nothing"
        for name, given in run.secrets.items()
        if given.option == "--secret" and name not in used
    ]


def _with_secrets(run: RunContext, planned: Plan) -> Plan:
    if not planned.secrets:
        return planned
    from azureml_tasks.project.build_secrets import with_sources

    return planned._replace(
        secrets=with_sources(planned.secrets, run.secrets),
        source_builds=run.source_builds,
        warnings=(*planned.warnings, *([_SOURCE_BUILDS] if run.source_builds else [])),
    )


def plan_image(
    run: RunContext, *, save_hashes: bool = False, judges_script: bool = False
) -> tuple[Plan, BuildContext]:
    """Read the project, plan the image, and hash its files; report warnings.

    Args:
        run: the run.
        save_hashes: whether the next command may use the hashes; a command that only looks writes nothing.
        judges_script: whether the caller asks `refuse_by_base`, and so warns of the script itself if at all.

    Raises:
        SettingsError: with everything that is wrong in the table and in the files it names.
    """
    refuse_foreign_records(run)
    hashes = run.file_hashes()
    planned = planned_image(run, hashes)
    for warning in without_script_warning(planned).warnings if judges_script else planned.warnings:
        run.reporter.warn(warning)
    own_name = planned.own_dockerfile.path if planned.own_dockerfile else ""
    context = new_context(planned.files, render(planned), hashes, own_name=own_name)
    if save_hashes and not run.reporter.dry:
        hashes.save()
    return planned, context


def prepare_build(run: RunContext, *, to_push: bool = False) -> Prepared:
    """Prepare a build; what can be found wrong without an engine is reported before one is opened.

    Args:
        run: the run.
        to_push: whether the image will be pushed, which needs a registry.

    Raises:
        SettingsError: the table is wrong, names no registry, or a secret is missing.
        EngineError: the engine does not answer, or cannot do what the table asks for.
    """
    from azureml_tasks.project import build_secrets

    planned, context = plan_image(run, save_hashes=True, judges_script=True)
    planned = planned._replace(kept_layers=_layers_of_other_images(run))
    problems = build_secrets.secret_problems(run.folder, planned.secrets, planned.files)
    to_push = to_push and not planned.mounted
    if to_push and not planned.registry and run.engine == "docker":
        problems.append(_no_registry(or_else=_RELEASE_TO))
    if problems:
        raise SettingsError(problems)
    prepared = _with_engine(run, planned, context)
    refuse_missing_features(prepared.engine, prepared.plan)
    refuse_by_base(prepared.engine, prepared.plan)
    warn_of_unread_script(run, prepared.plan)
    other_pythons, unknown = compare_pythons(prepared.engine, prepared.plan)
    if other_pythons:
        raise SettingsError(other_pythons)
    for warning in unknown:
        run.reporter.warn(warning)
    if to_push and not prepared.plan.registry:
        raise SettingsError([_no_registry(or_else=_RELEASE_TO)])
    return prepared


def _layers_of_other_images(run: RunContext) -> frozenset[str]:
    """Return the tags of the cached layers that the other images of the table had when they were built last."""
    tags: frozenset[str] = frozenset()
    for name in run.shared.names if run.shared else ():
        if name != run.image:
            with suppress(BuildError):  # It is not built yet, or its record is damaged.
                other = run._replace(image=name).records.read_build()
                tags |= recorded_tags(other.fingerprint_parts, run.cache_scope)
    return tags


def prepare_built_image(run: RunContext, *, to_push: bool = False) -> Prepared:
    """Prepare a command for the image that was built last.

    Args:
        run: the run.
        to_push: whether the image will be pushed, which needs a registry.

    Raises:
        SettingsError: the table is wrong or names no registry.
        BuildError: nothing is built.
        EngineError: the engine does not answer.
    """
    planned, context = plan_image(run, save_hashes=True)
    if planned.mounted:
        return _with_engine(run, planned, context)
    planned = with_build_registry(run, planned)
    if to_push and not planned.registry and run.engine == "docker":
        raise SettingsError([_no_registry()])
    if not run.reporter.dry:
        run.records.read_build()
    prepared = _with_engine(run, planned, context)
    if to_push and not prepared.plan.registry:
        raise SettingsError([_no_registry()])
    return prepared


def prepare_engine(run: RunContext) -> Prepared:
    """Prepare a command that needs neither a build nor a built image.

    Raises:
        SettingsError: the table is wrong.
        EngineError: the engine does not answer.
    """
    planned, context = plan_image(run, save_hashes=True)
    return _with_engine(run, with_build_registry(run, planned), context)


def _with_engine(run: RunContext, planned: Plan, context: BuildContext) -> Prepared:
    engine = open_engine(run, planned)
    description = engine.describe()
    if not run.shared or description not in run.shared.described:
        run.reporter.say(description)
    if run.shared:
        run.shared.described.add(description)
    for leftover in engine.remove_leftovers():
        run.reporter.say(f"removed what a killed run left: {leftover}")
    if not planned.registry and engine.registry:
        planned = planned._replace(registry=engine.registry)
        if not run.reporter.dry:
            _refuse_other_registry(run, FILE, planned.registry)
    return Prepared(plan=planned, context=context, engine=engine)


def with_build_registry(run: RunContext, planned: Plan) -> Plan:
    """Return the plan with the registry that the last build was for, unless this run names another.

    A flag of the build, such as `image.build --registry HOST`, holds for the commands that follow it.
    """
    if "registry" in run.overrides:
        return planned
    registry = run.records.build_registry(run.engine)
    if not registry:
        return planned
    _refuse_other_registry(run, f"the records in {run.records.name}", registry)
    return planned._replace(registry=registry)


def _refuse_other_registry(run: RunContext, source: str, registry: str) -> None:
    """Refuse a registry that the table does not name itself: that of the last build, or of a workspace.

    Raises:
        SettingsError: this run may not send anything to it.
    """
    what, fix = run.allowed_registries.refusal(registry)
    if what:
        raise SettingsError([Problem(source, 0, what, fix)])


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
        return _open_docker(run, save_notes=save_notes)
    except EngineError as error:
        if run.engine != "auto":
            error.next_step += f"\n{_USE_ACR}" if planned.acr else ""
            raise
        run.reporter.say(f"{error.what} Building in Azure Container Registry instead, as --engine auto says.")
    return _open_acr(run, planned, save_notes=save_notes)


def _open_docker(run: RunContext, *, save_notes: bool) -> DockerEngine:
    from azureml_tasks.engines.docker.engine import open_docker

    def connect() -> DockerEngine:
        return open_docker(run.records.home, run.reporter, project=run.folder, keep=save_notes)

    return run.shared.docker(connect, run.reporter) if run.shared else connect()


def _open_acr(run: RunContext, planned: Plan, *, save_notes: bool) -> AcrEngine:
    """Open Azure Container Registry, with the local engine for the smoke test if one answers."""
    from azureml_tasks.engines.acr.engine import AcrEngine

    if not planned.registry and not (planned.acr and planned.acr.workspace):
        raise SettingsError([_no_registry("to build in", or_else=_REGISTRY_OF_WORKSPACE)])
    try:
        local = _open_docker(run, save_notes=save_notes)
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


def warn_of_unread_script(run: RunContext, planned: Plan) -> None:
    """Warn of an entry script that our Python cannot read and that nobody refuses: a newer one may read it."""
    if planned.unread_script:
        run.reporter.warn(unread_warning(planned.unread_script))


def without_script_warning(planned: Plan) -> Plan:
    """Return the plan without the warning of the entry script, for one who refuses the script or warns of it."""
    script = unread_warning(planned.unread_script) if planned.unread_script else ""
    return planned._replace(warnings=tuple(warning for warning in planned.warnings if warning != script))


def _no_registry(purpose: str = "to push to", *, or_else: str = _PUSH_TO) -> Problem:
    fix = f'Write: registry = "contoso.azurecr.io"\nor: {or_else}'
    return FileProblem(FILE, 0, f"[tool.azureml-image] names no registry {purpose}", fix)
