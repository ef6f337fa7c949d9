"""Azure's resources as JSON."""

from __future__ import annotations

from typing import Any

from tests.machine.acr.azure_state import TENANT, Registry, Settings

__all__ = ["VERSIONS", "metadata", "registry", "subscription", "workspace"]

VERSIONS = {
    "subscriptions": {"2016-06-01", "2019-06-01", "2019-11-01", "2020-01-01", "2021-01-01", "2022-12-01"},
    "resources": {"2020-10-01", "2021-04-01", "2022-09-01", "2024-03-01", "2024-11-01", "2025-04-01"},
    "registries": {
        *(
            "2026-11-01",
            "2017-10-01",
            "2019-05-01",
            "2021-09-01",
            "2022-12-01",
            "2023-07-01",
            "2025-04-01",
            "2025-11-01",
        ),
        *("2023-11-01-preview", "2025-03-01-preview", "2026-09-01-preview"),
    },
    "tasks": {"2018-09-01", "2019-04-01", "2019-06-01-preview", "2025-03-01-preview"},
    "workspaces": {"2023-04-01", "2023-10-01", "2024-04-01", "2024-10-01", "2025-06-01", "2025-09-01"},
}
"""Type of resource -> its API versions."""
_ENDPOINT_PROTOCOL = "2026-11-01"
"""The first of them with the property `endpointProtocol`."""


def subscription(name: str) -> dict[str, Any]:
    """Return a subscription."""
    return {
        "id": f"/subscriptions/{name}",
        "subscriptionId": name,
        "tenantId": TENANT,
        "displayName": f"Loopback {name[:4]}",
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def registry(
    value: Registry, settings: Settings, *, short: bool = False, version: str = ""
) -> dict[str, Any]:
    """Return a registry as the API *version* shows it; *short* as in a list of all resources."""
    head = {
        "id": value.id,
        "name": value.name,
        "type": "Microsoft.ContainerRegistry/registries",
        "location": "westeurope",
        "tags": {},
        "sku": {"name": "Standard", "tier": "Standard"},
    }
    if short:
        return head
    properties = {
        "loginServer": value.login_server,
        "creationDate": "2026-01-01T00:00:00.0000000Z",
        "provisioningState": "Succeeded",
        "adminUserEnabled": False,
        "publicNetworkAccess": "Enabled",
        "roleAssignmentMode": settings.role_assignment_mode,
        **({"endpointProtocol": settings.endpoint_protocol} if version >= _ENDPOINT_PROTOCOL else {}),
    }
    return {**head, "properties": properties}


def workspace(scope: str, name: str, settings: Settings) -> dict[str, Any]:
    """Return an Azure ML workspace, with or without a registry."""
    return {
        "id": scope,
        "name": name,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": "westeurope",
        "properties": {
            "friendlyName": name,
            "containerRegistry": settings.workspace_registry,
            "provisioningState": "Succeeded",
        },
    }


def metadata(url: str, directory: str) -> dict[str, Any]:
    """Return the metadata of a cloud that clients know by its Resource Manager only."""
    return {
        "name": "Loopback",
        "portal": f"{url}/portal",
        "resourceManager": url,
        "authentication": {
            "loginEndpoint": directory,
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graph": f"{url}/graph/",
        "graphAudience": f"{url}/graph/",
        "microsoftGraphResourceId": f"{url}/graph/",
        "batch": "https://batch.core.windows.net/",
        "media": "https://rest.media.azure.net",
        "gallery": f"{url}/gallery/",
        "vmImageAliasDoc": f"{url}/aliases.json",
        "suffixes": {
            "acrLoginServer": "azurecr.io",
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
        },
    }
