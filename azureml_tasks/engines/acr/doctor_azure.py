"""What `image.doctor` finds about Azure: libraries, sign-in, registry, roles, and whether ACR Tasks are permitted.

Everything is asked as a remote build asks it, up to the upload of a build context; nothing is sent or started.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.clouds import get_cloud
from azureml_tasks.engines.acr.credentials import require_libraries, sign_in
from azureml_tasks.engines.acr.permissions import Permissions
from azureml_tasks.engines.acr.preflight import check_repository
from azureml_tasks.engines.acr.session import session_of
from azureml_tasks.engines.doctor_finding import Finding, Status, of_error
from azureml_tasks.errors import AzuremlTasksError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.engines.acr.session import Session
    from azureml_tasks.planning.plan import Plan

_NEEDED = "Builds in Azure Container Registry, --engine acr, need it."


def azure_findings(
    acr: Acr | None,
    registry: str,
    plan: Callable[[], Plan | None],
    refusal: Callable[[str], tuple[str, str]],
) -> list[Finding]:
    """Return the findings up to the first that keeps the next ones from being asked.

    Args:
        acr: the options of the table; None if it has none.
        registry: login server; "" for that of the workspace, or if none is known.
        plan: returns the image whose repositories the roles must cover; None if it cannot be planned.
        refusal: returns why the run may send nothing to a registry, and the next step; two "" if it may.
    """
    acr = acr or Acr()
    try:
        require_libraries()
    except AzuremlTasksError as error:
        return [of_error("Azure libraries", error, Status.BLOCKS, _NEEDED)]
    libraries = Finding("Azure libraries", Status.OK, "the extra acr is installed")
    try:
        cloud = get_cloud(acr.cloud, os.environ)
        credential = sign_in(cloud, _silent)
    except AzuremlTasksError as error:
        return [libraries, of_error("Azure sign-in", error, Status.BLOCKS, _NEEDED)]
    signed_in = [libraries, Finding("Azure sign-in", Status.OK, f"signed in at {cloud.authority}")]
    if not registry and not acr.workspace:
        return signed_in
    try:
        session = session_of(cloud, credential, acr, registry, _silent)
    except AzuremlTasksError as error:
        return [*signed_in, of_error("Azure registry", error, Status.BLOCKS, _NEEDED)]
    # The registry may be that of a workspace that the table names.
    what, fix = refusal(session.registry.login_server)
    if what:
        return [*signed_in, Finding("Azure registry", Status.WARNING, what, "It was not asked.", fix)]
    what = f"{session.registry.login_server}, {session.registry.id}"
    return [*signed_in, Finding("Azure registry", Status.OK, what), _roles(session, plan), _tasks(session)]


def _silent(_: str) -> None:
    """Say nothing: the report says what does not answer."""


def _roles(session: Session, plan: Callable[[], Plan | None]) -> Finding:
    """Look at the permissions that a build, a push and the cached layers need."""
    name = "roles"
    if not (planned := plan()):
        why = "The table says which repositories the roles must cover."
        return Finding(
            name, Status.UNKNOWN, "not looked at: the image cannot be planned", why, "invoke image.check"
        )
    planned = planned._replace(registry=session.registry.login_server)
    lacking: list[str] = []
    permissions = Permissions(session=session, plan=planned, say=lacking.append)
    try:
        check_repository(planned)
        permissions.check_build(with_layers=True)
        permissions.check_push()
    except AzuremlTasksError as error:
        return of_error(name, error, Status.BLOCKS, _NEEDED)
    what = "; ".join([f"you may build and push {planned.repository}", *lacking])
    return Finding(name, Status.NOTE if lacking else Status.OK, what)


def _tasks(session: Session) -> Finding:
    """Ask for an address for a build context, which Azure refuses to those who may not use ACR Tasks."""
    name = "ACR Tasks"
    try:
        session.tasks.refuse_dual_stack()
        session.tasks.upload_target()
    except AzuremlTasksError as error:
        return of_error(name, error, Status.BLOCKS, _NEEDED)
    return Finding(name, Status.OK, f"permitted in {session.registry.login_server}")
