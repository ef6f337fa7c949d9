"""One signed-in identity at one registry: everything that a hand-off asks, opened once for a command."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr.arm_client import connect
from azureml_tasks.engines.acr.clouds import Cloud, cloud
from azureml_tasks.engines.acr.credentials import need_libraries, scope, sign_in
from azureml_tasks.engines.acr.registry_lookup import Registry, find
from azureml_tasks.engines.acr.tasks_api import Tasks
from azureml_tasks.registry.api import RegistryApi
from azureml_tasks.registry.auth import AzureCredentials, RegistryAuth
from azureml_tasks.registry.session import RegistrySession

if TYPE_CHECKING:
    from collections.abc import Callable

    from azureml_tasks.config.settings import Acr
    from azureml_tasks.reporter import Reporter

__all__ = ["Session", "open_session"]

_ROLES = {
    "pull": 'the role AcrPull, or "Container Registry Repository Reader"',
    "push": 'the role AcrPush, or "Container Registry Repository Writer"',
    "delete": 'the role AcrDelete, or "Container Registry Repository Contributor"',
}
"""https://learn.microsoft.com/azure/container-registry/container-registry-rbac-built-in-roles-overview."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A registry, its tasks and its repositories."""

    cloud: Cloud
    registry: Registry
    tasks: Tasks
    repositories: RegistryApi

    def look_at(self, run: str) -> str:
        """How a person looks at a run, in the portal and in a shell."""
        return (
            f"    {self.cloud.portal}/#resource{self.registry.id}, Services, Tasks, Runs, {run}\n"
            f"    az acr task logs --registry {self.registry.name} --run-id {run}"
        )


def open_session(acr: Acr, login_server: str, reporter: Reporter) -> Session:
    """Sign in and find the registry.

    Raises:
        SettingsError: a variable holds no address.
        EngineError: Microsoft's libraries are not installed.
        RegistryError: nobody is signed in, or the registry is not found.
        HandOffError: Azure does not answer.
    """
    where = cloud(acr.cloud, os.environ)
    need_libraries()
    credential = sign_in(where)
    manager = connect(where, credential)
    registry = find(manager, acr, login_server, os.environ)
    reporter.say(f"registry {registry.login_server}: {registry.id}")
    return Session(
        cloud=where,
        registry=registry,
        tasks=Tasks(manager=manager, registry=registry),
        repositories=registry_api(registry, lambda: credential.get_token(scope(where)).token),
    )


def registry_api(registry: Registry, azure_token: Callable[[], str]) -> RegistryApi:
    """Return the API of a registry for the identity whose tokens *azure_token* returns."""
    session = RegistrySession(login_server=registry.login_server)
    sign_in = (
        f"az acr login --name {registry.name}\n"
        "It needs the role AcrPull or AcrPush, or a repository role, on the registry."
    )
    credentials = AzureCredentials(session=session, azure_token=azure_token, sign_in=sign_in)
    auth = RegistryAuth(session=session, credentials=credentials, sign_in=sign_in)
    return RegistryApi(auth=auth, ask_for=lambda action: f"Ask for {_ROLES[action]}, on the registry")
