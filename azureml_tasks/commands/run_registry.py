"""The registry of a run: the one that the table, a flag or the last build names, and the error if none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config.problems import FILE
from azureml_tasks.errors import BuildError, FileProblem, Problem, SettingsError
from azureml_tasks.project.load import table_line

if TYPE_CHECKING:
    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.planning.plan import Plan

_PUSH_TO, RELEASE_TO = (f"invoke image.{task} --registry contoso.azurecr.io" for task in ("push", "release"))
"""Commands to paste that name a registry."""
REGISTRY_OF_WORKSPACE = (
    "workspace and resource-group in [tool.azureml-image.acr], for the registry of a workspace"
)
"""What to write instead of a registry."""


def with_build_registry(run: RunContext, planned: Plan) -> Plan:
    """Return the plan with the registry that the last build was for, if this run needs that one or names none.

    So a flag of the build, such as `image.build --registry HOST`, holds for the commands that follow it. An image that
    was built in a registry is in that one alone; a local image can be pushed to the one that the table names now.

    Raises:
        SettingsError: this run may not send anything to the registry of the last build.
    """
    if "registry" in run.overrides or (planned.registry and _is_local(run)):
        return planned
    registry = run.records.build_registry(run.engine)
    if not registry:
        return planned
    refuse_other_registry(run, f"the records in {run.records.name}", registry)
    return planned._replace(registry=registry)


def _is_local(run: RunContext) -> bool:
    """Return whether the image of this run is on the local engine."""
    if run.engine != "auto":
        return run.engine == "docker"
    if run.records.started_runs() or not run.records.has_build():
        return False
    return run.records.read_build().engine == "docker"


def refuse_moved_registry(engine: str, named: str, built_in: str) -> None:
    """Refuse to push an image from the registry that built it, if the table names another one by now.

    Args:
        engine: of the run.
        named: the registry of the table; "" for none.
        built_in: the registry of the last build; "" for none.

    Raises:
        BuildError: they differ.
    """
    if named and named != built_in:
        what = f"The image was built in {built_in}, and the registry of the table is {named} now."
        fix = f"invoke image.build --engine {engine}\nor push it where it is: --registry {built_in}"
        raise BuildError(what, next_step=fix)


def refuse_other_registry(run: RunContext, source: str, registry: str) -> None:
    """Refuse a registry that the table does not name itself: that of the last build, or of a workspace.

    Args:
        run: the run.
        source: what names the registry, for the message.
        registry: its login server.

    Raises:
        SettingsError: this run may not send anything to it.
    """
    what, fix = run.allowed_registries.refusal(registry)
    if what:
        raise SettingsError([Problem(source, 0, what, fix)])


def no_registry(run: RunContext, purpose: str = "to push to", *, or_else: str = _PUSH_TO) -> Problem:
    """Return what is wrong if no registry is named, at the line of the table.

    Args:
        run: the run, which has read the table.
        purpose: what the registry is for.
        or_else: the other way besides writing one, to paste.
    """
    fix = f'Write: registry = "contoso.azurecr.io"\nor: {or_else}'
    line = table_line(run.folder)
    return FileProblem(FILE, line, f"[tool.azureml-image] names no registry {purpose}", fix)
