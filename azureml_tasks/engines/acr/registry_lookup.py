"""Look up the registry in Azure Resource Manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azureml_tasks.engines.acr.azure_errors import NotFoundError
from azureml_tasks.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.config.settings import Acr
    from azureml_tasks.engines.acr.arm_client import ArmClient

# API versions: the first one of registries with `roleAssignmentMode`, and the current one of workspaces.
_REGISTRIES = "2025-11-01"
_WORKSPACES = "2024-10-01"
_SUBSCRIPTIONS = "2022-12-01"
_ABAC = "AbacRepositoryPermissions"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry.

    Args:
        id: resource ID, `/subscriptions/…`.
        name: resource name.
        login_server: host; not always the name with a suffix.
        abac: whether permissions are granted per repository, so that a run pushes with the caller's identity.
    """

    id: str
    name: str
    login_server: str
    abac: bool = False


def find_registry(arm: ArmClient, acr: Acr, login_server: str, environment: Mapping[str, str]) -> Registry:
    """Return the registry with this login server, or the one of the workspace in *acr*.

    Args:
        arm: signed in.
        acr: the table.
        login_server: the setting `registry`; "" for the registry of the workspace.
        environment: AZURE_SUBSCRIPTION_ID is the default of `subscription`.

    Raises:
        RegistryError: there is none or more than one, or Azure refuses.
        RemoteBuildError: Azure does not answer.
    """
    subscription = acr.subscription or environment.get("AZURE_SUBSCRIPTION_ID", "")
    subscriptions = [subscription] if subscription else list(_subscriptions(arm))
    if not login_server:
        return _registry_of_workspace(arm, acr, subscriptions)
    matches = [
        registry
        for subscription in subscriptions
        for registry in _registries(arm, subscription, acr.resource_group or "")
        if registry.login_server.lower() == login_server.lower()
    ]
    if len(matches) != 1:
        raise _not_exactly_one(login_server, matches, len(subscriptions))
    return matches[0]


def _subscriptions(arm: ArmClient) -> Iterator[str]:
    for subscription in arm.list_all("/subscriptions", _SUBSCRIPTIONS, "list your subscriptions"):
        yield str(subscription["subscriptionId"])


def _registries(arm: ArmClient, subscription: str, group: str) -> Iterator[Registry]:
    scope = f"/subscriptions/{quote(subscription)}" + (f"/resourceGroups/{quote(group)}" if group else "")
    path = f"{scope}/providers/Microsoft.ContainerRegistry/registries"
    action = f"list the registries of subscription {subscription}"
    yield from map(_parse_registry, arm.list_all(path, _REGISTRIES, action))


def _parse_registry(resource: Mapping[str, Any]) -> Registry:
    properties = resource.get("properties") or {}
    return Registry(
        id=str(resource["id"]),
        name=str(resource["name"]),
        login_server=str(properties.get("loginServer", "")),
        abac=properties.get("roleAssignmentMode") == _ABAC,
    )


def _not_exactly_one(login_server: str, matches: list[Registry], subscriptions: int) -> RegistryError:
    if not matches:
        fix = (
            "Check registry; to list the login servers: az acr list --query [].loginServer\n"
            "or ask for the role Reader on the registry, without which it is not listed\n"
            'or sign in to its subscription: az login; subscription = "…" in [tool.azureml-image.acr]'
        )
        count = f"{subscriptions} subscription{'s' if subscriptions != 1 else ''}"
        return RegistryError(f"No registry in {count} has the login server {login_server}.", next_step=fix)
    return RegistryError(
        f"{len(matches)} registries have the login server {login_server}.",
        next_step="Set subscription and resource-group in [tool.azureml-image.acr]",
        said="\n".join(["Azure lists:", *(registry.id for registry in matches)]),
    )


def _registry_of_workspace(arm: ArmClient, acr: Acr, subscriptions: list[str]) -> Registry:
    error = RegistryError("Your account has no subscription.", next_step="az login")
    for subscription in subscriptions:
        group = f"/subscriptions/{quote(subscription)}/resourceGroups/{quote(acr.resource_group or '')}"
        path = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{quote(acr.workspace or '')}"
        try:
            workspace = arm.get(path, _WORKSPACES, f"look up the workspace {acr.workspace}")
        except NotFoundError as not_found:
            error = not_found
            continue
        registry_id = (workspace.get("properties") or {}).get("containerRegistry")
        if not registry_id:
            raise _no_registry_yet(acr)
        action = f"look up the registry of the workspace {acr.workspace}"
        return _parse_registry(arm.get(registry_id, _REGISTRIES, action))
    raise error


def _no_registry_yet(acr: Acr) -> RegistryError:
    """Return the error for a workspace without a registry: it gets one with the first image that it builds itself."""
    fix = (
        f"az ml workspace update --name {acr.workspace} --resource-group {acr.resource_group} "
        "--container-registry REGISTRY-ID --update-dependent-resources\n"
        'or name a registry: registry = "contoso.azurecr.io"'
    )
    return RegistryError(f"The workspace {acr.workspace} has no container registry yet.", next_step=fix)
