"""The Azure resources of the loopback, and the settings of a test."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

__all__ = ["CLIENT", "OBJECT", "SECRET", "TENANT", "AzureState", "Registry", "Settings", "azure_state"]

TENANT = "11111111-aaaa-4aaa-8aaa-111111111111"
CLIENT = "22222222-bbbb-4bbb-8bbb-222222222222"
OBJECT = "33333333-cccc-4ccc-8ccc-333333333333"
SECRET = "loopback-client-secret"  # noqa: S105 -- of a service principal that exists on this machine alone
_ALL = frozenset({"pull", "push", "delete"})


@dataclass(kw_only=True)
class Settings:
    """What a test may change; `Acr.reset()` restores the defaults.

    Args:
        denied: actions of Azure's role-based access that the caller lacks, such as
            `Microsoft.ContainerRegistry/registries/scheduleRun/action`.
        tasks_allowed: whether the subscription may run tasks at all; free ones may not.
        role_assignment_mode: of the main registry; with `AbacRepositoryPermissions` a run has no credential
            unless the request names the caller's.
        registry_audiences: for whom an Azure token may be that the registry takes; one that does not disable
            "authentication as ARM" takes those for Resource Manager too.
        unknown_audiences: for whom Entra ID gives no token.
        endpoint_protocol: of the main registry.
        caller_actions: pattern of repositories -> what the caller may do there.
        run_actions: the same of the registry's own identity, with which a run pushes.
        workspace_registry: resource id that the workspace names; None before its first image.
        token_seconds: lifetime of Azure's tokens.
        refresh_seconds: lifetime of the registry's refresh tokens.
        access_seconds: lifetime of the registry's access tokens.
        upload_seconds: lifetime of the URL of an upload; negative for one that is expired.
        log_seconds: the same of a log's.
        page_size: how many items a page of a list has.
        fresh_agents: whether a build may use no layer of an earlier one, as on Azure.
    """

    denied: set[str] = field(default_factory=set)
    tasks_allowed: bool = True
    role_assignment_mode: str = "LegacyRegistryPermissions"
    registry_audiences: frozenset[str] = frozenset({"https://containerregistry.azure.net"})
    unknown_audiences: frozenset[str] = frozenset()
    endpoint_protocol: str = "IPv4"
    caller_actions: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"*": _ALL})
    run_actions: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"*": _ALL})
    workspace_registry: str | None = None
    token_seconds: float = 3600
    refresh_seconds: float = 3 * 3600
    access_seconds: float = 3600
    upload_seconds: float = 3600
    log_seconds: float = 3600
    page_size: int = 1
    fresh_agents: bool = False

    def actions(self, subject: str, repository: str) -> frozenset[str]:
        """Return the permitted actions of `caller` or `run` in a repository."""
        rules = self.caller_actions if subject == "caller" else self.run_actions
        permitted = [
            actions for pattern, actions in rules.items() if fnmatch.fnmatchcase(repository, pattern)
        ]
        return frozenset().union(*permitted)

    def set_to(self, other: Settings) -> None:
        """Copy every value of *other*."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry resource."""

    subscription: str
    resource_group: str
    name: str
    login_server: str

    @property
    def group_id(self) -> str:
        """Resource ID of its resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"

    @property
    def id(self) -> str:
        """Resource ID."""
        return f"{self.group_id}/providers/Microsoft.ContainerRegistry/registries/{self.name}"


@dataclass(frozen=True, kw_only=True)
class AzureState:
    """Two subscriptions with registries, and a workspace.

    Args:
        main: the registry that is really there.
        registries: all of them, the main one last, so that who looks for it has to turn pages; the others
            are names alone.
        workspace: name of the Azure ML workspace beside the main registry.
    """

    main: Registry
    registries: tuple[Registry, ...]
    workspace: str

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The IDs of the subscriptions."""
        return tuple(dict.fromkeys(registry.subscription for registry in self.registries))


def azure_state(login_server: str) -> AzureState:
    """Return the resources with the main registry at *login_server*."""
    main = Registry(
        subscription="44444444-dddd-4ddd-8ddd-444444444444",
        resource_group="ml-team",
        name="loopbackregistry",
        login_server=login_server,
    )
    beside = Registry(
        subscription=main.subscription,
        resource_group="shared",
        name="sharedregistry",
        login_server="sharedregistry.loopback.invalid",
    )
    other = Registry(
        subscription="55555555-eeee-4eee-8eee-555555555555",
        resource_group="ml-team",
        name="otherregistry",
        login_server="otherregistry-abc123.loopback.invalid",
    )
    return AzureState(main=main, registries=(other, beside, main), workspace="loopback-workspace")
