"""The registry that is meant, as Azure Resource Manager knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azureml_tasks.engines.acr.arm_client import NotThere, ResourceManager
from azureml_tasks.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.config.settings import Acr

__all__ = ["Registry", "find"]

# The first of registries' versions that tells `roleAssignmentMode`, and the current one of workspaces.
_REGISTRIES = "2025-11-01"
_WORKSPACES = "2024-10-01"
_SUBSCRIPTIONS = "2022-12-01"
_ABAC = "AbacRepositoryPermissions"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry.

    Args:
        id: its path in Azure Resource Manager, `/subscriptions/…`.
        name: the resource's.
        login_server: host; not always the name with a suffix.
        abac: whether it decides by repository who may do what, so that a run acts as its caller.
    """

    id: str
    name: str
    login_server: str
    abac: bool = False


def find(manager: ResourceManager, acr: Acr, login_server: str, environment: Mapping[str, str]) -> Registry:
    """The registry of this login server, or of the workspace that *acr* names.

    Args:
        manager: signed in.
        acr: the table.
        login_server: as in `registry`; "" where the workspace says.
        environment: AZURE_SUBSCRIPTION_ID stands in for `subscription`.

    Raises:
        RegistryError: there is none, or more than one, or Azure refuses to say.
        HandOffError: Azure does not answer.
    """
    given = acr.subscription or environment.get("AZURE_SUBSCRIPTION_ID", "")
    subscriptions = [given] if given else list(_subscriptions(manager))
    if not login_server:
        return _of_workspace(manager, acr, subscriptions)
    found = [
        registry
        for subscription in subscriptions
        for registry in _registries(manager, subscription, acr.resource_group or "")
        if registry.login_server.lower() == login_server.lower()
    ]
    if len(found) != 1:
        raise _not_one(login_server, found, subscriptions)
    return found[0]


def _subscriptions(manager: ResourceManager) -> Iterator[str]:
    try:
        listed = manager.pages("/subscriptions", _SUBSCRIPTIONS, "the list of your subscriptions")
    except NotThere as missing:
        raise missing.error from missing
    yield from (str(each["subscriptionId"]) for each in listed)


def _registries(manager: ResourceManager, subscription: str, group: str) -> Iterator[Registry]:
    within = f"/subscriptions/{quote(subscription)}" + (f"/resourceGroups/{quote(group)}" if group else "")
    path = f"{within}/providers/Microsoft.ContainerRegistry/registries"
    try:
        listed = manager.pages(path, _REGISTRIES, f"the list of registries in subscription {subscription}")
    except NotThere as missing:
        raise missing.error from missing
    yield from map(_read, listed)


def _read(found: Mapping[str, Any]) -> Registry:
    properties = found.get("properties") or {}
    return Registry(
        id=str(found["id"]),
        name=str(found["name"]),
        login_server=str(properties.get("loginServer", "")),
        abac=properties.get("roleAssignmentMode") == _ABAC,
    )


def _not_one(login_server: str, found: list[Registry], subscriptions: list[str]) -> RegistryError:
    count = f"{len(subscriptions)} subscription{'s' if len(subscriptions) != 1 else ''}"
    if not found:
        fix = (
            "Look at registry; az acr list --query [].loginServer lists them\n"
            "or ask for the role Reader on it, without which it is not seen\n"
            'or sign in where it is: az login; subscription = "…" in [tool.azureml-image.acr]'
        )
        return RegistryError(f"No registry in {count} has the login server {login_server}.", next_step=fix)
    fix = "Say which: subscription and resource-group in [tool.azureml-image.acr]"
    said = "\n".join(["Azure lists:", *(registry.id for registry in found)])
    return RegistryError(
        f"{len(found)} registries have the login server {login_server}.", next_step=fix, said=said
    )


def _of_workspace(manager: ResourceManager, acr: Acr, subscriptions: list[str]) -> Registry:
    what = f"the workspace {acr.workspace}"
    kind = "Microsoft.MachineLearningServices/workspaces"
    last: NotThere | None = None
    for subscription in subscriptions:
        group = f"/subscriptions/{quote(subscription)}/resourceGroups/{quote(acr.resource_group or '')}"
        try:
            workspace = manager.get(
                f"{group}/providers/{kind}/{quote(acr.workspace or '')}", _WORKSPACES, what
            )
        except NotThere as missing:
            last = missing
            continue
        return _linked(manager, (workspace.get("properties") or {}).get("containerRegistry"), acr)
    raise last.error if last else RegistryError("Your account sees no subscription.", next_step="az login")


def _linked(manager: ResourceManager, registry_id: str | None, acr: Acr) -> Registry:
    """A workspace gets its registry with the first image that it builds itself."""
    if not registry_id:
        fix = (
            f"az ml workspace update --name {acr.workspace} --resource-group {acr.resource_group} "
            "--container-registry REGISTRY-ID --update-dependent-resources\n"
            'or name a registry of yours: registry = "contoso.azurecr.io"'
        )
        raise RegistryError(f"The workspace {acr.workspace} has no container registry yet.", next_step=fix)
    try:
        return _read(manager.get(registry_id, _REGISTRIES, f"the registry of the workspace {acr.workspace}"))
    except NotThere as missing:
        raise missing.error from missing
