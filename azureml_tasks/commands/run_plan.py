"""The plan of a run's image, and its build context: what is read before an engine is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.commands.run_context import refuse_foreign_records
from azureml_tasks.context.build_context import new_context
from azureml_tasks.notice import Notice
from azureml_tasks.planning.dockerfile import render
from azureml_tasks.planning.plan import plan
from azureml_tasks.project.load import load, unread_warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.commands.run_context import RunContext
    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.context.file_hashes import FileHashes
    from azureml_tasks.planning.plan import Plan

_SOURCE_BUILDS = Notice(
    "source-builds",
    "packages may be built from source while the secrets are mounted, so their code can read the secrets: "
    "--allow-source-builds",
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
    context = context_of(planned, hashes)
    if save_hashes and not run.reporter.dry:
        hashes.save()
    return planned, context


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


def _with_secrets(run: RunContext, planned: Plan) -> Plan:
    if not planned.secrets:
        return planned
    from azureml_tasks.project.build_secrets import with_sources

    return planned._replace(
        secrets=with_sources(planned.secrets, run.secrets),
        source_builds=run.source_builds,
        warnings=(*planned.warnings, *([_SOURCE_BUILDS] if run.source_builds else [])),
    )


def unused_secrets(run: RunContext, plans: Sequence[Plan]) -> list[Notice]:
    """Return a warning for each secret that a flag of the run gives, and that no image uses."""
    used = {secret.id for planned in plans for secret in planned.secrets}
    return [
        Notice(
            "secret-unused",
            f"--secret {name} is not used: tool.azureml-image.secrets does not want it, or pip installs nothing",
        )
        for name, given in run.secrets.items()
        if given.option == "--secret" and name not in used
    ]


def context_of(planned: Plan, hashes: FileHashes) -> BuildContext:
    """Return the build context of *planned*, with its files hashed.

    Raises:
        BuildError: a file is being changed or has gone.
    """
    own_name = planned.own_dockerfile.path if planned.own_dockerfile else ""
    return new_context(planned.files, render(planned), hashes, own_name=own_name)


def warn_of_unread_script(run: RunContext, planned: Plan) -> None:
    """Warn of an entry script that our Python cannot read and that nobody refuses: a newer one may read it."""
    if planned.unread_script:
        run.reporter.warn(unread_warning(planned.unread_script))


def without_script_warning(planned: Plan) -> Plan:
    """Return the plan without the warning of the entry script, for one who refuses the script or warns of it."""
    script = unread_warning(planned.unread_script) if planned.unread_script else None
    return planned._replace(warnings=tuple(warning for warning in planned.warnings if warning != script))
