"""A signed-in identity at one registry, opened once for each command."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr.arm_client import connect
from azureml_tasks.engines.acr.clouds import Cloud, get_cloud
from azureml_tasks.engines.acr.credentials import registry_token, require_libraries, sign_in
from azureml_tasks.engines.acr.registry_lookup import Registry, find_registry
from azureml_tasks.engines.acr.tasks_api import TasksApi
from azureml_tasks.registry.api import RegistryApi
from azureml_tasks.registry.auth import AzureCredentials, RegistryAuth
from azureml_tasks.registry.session import RegistrySession

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential

    from azureml_tasks.config.settings import Acr
    from azureml_tasks.reporter import Reporter

_ROLES = {
    "pull": 'the role AcrPull, or "Container Registry Repository Reader"',
    "push": 'the role AcrPush, or "Container Registry Repository Writer"',
    "delete": 'the role AcrDelete, or "Container Registry Repository Contributor"',
}
"""https://learn.microsoft.com/azure/container-registry/container-registry-rbac-built-in-roles-overview."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """The clients of one registry: its tasks, its tokens and its repositories."""

    cloud: Cloud
    registry: Registry
    tasks: TasksApi
    repositories: RegistryApi

    def run_links(self, run: str) -> str:
        """Return where to look at a run: in the Azure portal, and with the Azure CLI."""
        return (
            f"    {self.cloud.portal}/#resource{self.registry.id}, Services, Tasks, Runs, {run}\n"
            f"    az acr task logs --registry {self.registry.name} --run-id {run}"
        )


def open_session(acr: Acr, login_server: str, reporter: Reporter) -> Session:
    """Sign in and look up the registry.

    Raises:
        SettingsError: an environment variable for an endpoint is not a URL.
        EngineError: Microsoft's libraries are not installed.
        RegistryError: the sign-in fails, or the registry is not found.
        RemoteBuildError: Azure does not answer.
    """
    cloud = get_cloud(acr.cloud, os.environ)
    require_libraries()
    return session_of(cloud, sign_in(cloud, reporter.say), acr, login_server, reporter.say)


def session_of(
    cloud: Cloud, credential: TokenCredential, acr: Acr, login_server: str, say: Callable[[str], None]
) -> Session:
    """Look up the registry with a credential that works; errors as above."""
    arm = connect(cloud, credential, say)
    registry = find_registry(arm, acr, login_server, os.environ)
    say(f"registry {registry.login_server}: {registry.id}")
    return Session(
        cloud=cloud,
        registry=registry,
        tasks=TasksApi(arm=arm, registry=registry),
        repositories=_registry_api(registry, lambda: registry_token(cloud, credential), say),
    )


def _registry_api(
    registry: Registry, azure_token: Callable[[], str], say: Callable[[str], None]
) -> RegistryApi:
    """Return the API of a registry for the identity whose tokens *azure_token* returns."""
    session = RegistrySession(login_server=registry.login_server, say=say)
    next_step = (
        f"az acr login --name {registry.name}\n"
        "It needs the role AcrPull or AcrPush, or a repository role, on the registry."
    )
    credentials = AzureCredentials(session=session, azure_token=azure_token, sign_in=next_step)
    auth = RegistryAuth(session=session, credentials=credentials, sign_in=next_step)
    return RegistryApi(auth=auth, ask_for=lambda action: f"Ask for {_ROLES[action]}, on the registry")
