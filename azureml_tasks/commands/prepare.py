"""Prepare a command: read the project and open the engine, and refuse what is wrong before any effect."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.commands.base_checks import compare_pythons, refuse_by_base, refuse_missing_features
from azureml_tasks.commands.run_engine import open_engine, remove_leftovers
from azureml_tasks.commands.run_plan import plan_image, warn_of_unread_script
from azureml_tasks.commands.run_registry import (
    RELEASE_TO,
    no_registry,
    refuse_moved_registry,
    refuse_other_registry,
    with_build_registry,
)
from azureml_tasks.config.problems import FILE
from azureml_tasks.errors import BuildError, SettingsError
from azureml_tasks.incremental.cached_layers import recorded_tags

if TYPE_CHECKING:
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.engines.protocol import Engine
    from azureml_tasks.planning.plan import Plan


class Prepared(NamedTuple):
    """What every effect needs: the plan, its build context, and the engine."""

    plan: Plan
    context: BuildContext
    engine: Engine


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
        problems.append(no_registry(run, or_else=RELEASE_TO))
    if problems:
        raise SettingsError(problems)
    prepared = _with_engine(run, planned, context)
    refuse_missing_features(prepared.engine, prepared.plan)
    refuse_by_base(prepared.engine, prepared.plan)
    warn_of_unread_script(run, prepared.plan)
    other_pythons, unknown = compare_pythons(prepared.engine, prepared.plan, run.overrides)
    if other_pythons:
        raise SettingsError(other_pythons)
    for warning in unknown:
        run.reporter.warn(warning)
    if to_push and not prepared.plan.registry:
        raise SettingsError([no_registry(run, or_else=RELEASE_TO)])
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
        BuildError: nothing is built, or it was built in another registry than the table names now.
        EngineError: the engine does not answer.
    """
    planned, context = plan_image(run, save_hashes=True)
    if planned.mounted:
        return _with_engine(run, planned, context, is_quiet=to_push)
    named, planned = planned.registry, with_build_registry(run, planned)
    if to_push:
        refuse_moved_registry(run.engine, named, planned.registry)
    if to_push and not planned.registry and run.engine == "docker":
        raise SettingsError([no_registry(run)])
    if not run.reporter.dry:
        run.records.read_build()
    prepared = _with_engine(run, planned, context, is_quiet=to_push)
    if to_push and not prepared.plan.registry:
        raise SettingsError([no_registry(run)])
    return prepared


def prepare_engine(run: RunContext) -> Prepared:
    """Prepare a command that needs neither a build nor a built image.

    Raises:
        SettingsError: the table is wrong.
        EngineError: the engine does not answer.
    """
    planned, context = plan_image(run, save_hashes=True)
    return _with_engine(run, with_build_registry(run, planned), context)


def _with_engine(
    run: RunContext, planned: Plan, context: BuildContext, *, is_quiet: bool = False
) -> Prepared:
    """Open the engine and say which one it is; what only pushes is quiet, because the builder does not matter to it."""
    engine = open_engine(run, planned)
    is_verbose = run.reporter.verbose
    description = engine.describe() if is_verbose else engine.title()
    is_said = run.shared is not None and description in run.shared.described
    if not is_said and (is_verbose or not is_quiet):
        run.reporter.say(description)
        if run.shared:
            run.shared.described.add(description)
    remove_leftovers(run, engine)
    if not planned.registry and engine.registry:
        planned = planned._replace(registry=engine.registry)
        if not run.reporter.dry:
            refuse_other_registry(run, FILE, planned.registry)
    return Prepared(plan=planned, context=context, engine=engine)
