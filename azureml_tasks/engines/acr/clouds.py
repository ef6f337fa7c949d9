"""Azure's clouds, and the endpoints that the environment alone may put in their place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.image_reference import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RESOURCE_MANAGER", "Cloud", "cloud"]

AUTHORITY = "AZURE_AUTHORITY_HOST"
RESOURCE_MANAGER = "INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Where one cloud signs in, is managed and is looked at.

    Args:
        authority: URL of Microsoft Entra ID.
        resource_manager: URL of Azure Resource Manager; also the audience of its tokens.
        portal: URL of the portal.
        known: whether Microsoft's libraries know the authority, and need not ask it who it is.
    """

    authority: str
    resource_manager: str
    portal: str
    known: bool = True


# https://learn.microsoft.com/azure/china/resources-developer-guide and
# https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure
_CLOUDS = {
    "AzureCloud": Cloud(
        authority="https://login.microsoftonline.com",
        resource_manager="https://management.azure.com",
        portal="https://portal.azure.com",
    ),
    "AzureChinaCloud": Cloud(
        authority="https://login.chinacloudapi.cn",
        resource_manager="https://management.chinacloudapi.cn",
        portal="https://portal.azure.cn",
    ),
    "AzureUSGovernment": Cloud(
        authority="https://login.microsoftonline.us",
        resource_manager="https://management.usgovcloudapi.net",
        portal="https://portal.azure.us",
    ),
}


def cloud(name: str, environment: Mapping[str, str]) -> Cloud:
    """The endpoints of the cloud *name*, those of the environment above them.

    No file of the project can name an endpoint: a pull request must not send CI's credentials elsewhere.

    Raises:
        SettingsError: a variable holds no https address.
    """
    found = _CLOUDS[name]
    wrong = [
        Problem(variable, 0, f'"{environment[variable]}" is no https address', f"unset {variable}")
        for variable in (AUTHORITY, RESOURCE_MANAGER)
        if environment.get(variable) and not _is_address(environment[variable])
    ]
    if wrong:
        raise SettingsError(wrong)
    authority = _url(environment.get(AUTHORITY) or found.authority)
    return Cloud(
        authority=authority,
        resource_manager=_url(environment.get(RESOURCE_MANAGER) or found.resource_manager),
        portal=found.portal,
        known=authority in {each.authority for each in _CLOUDS.values()},
    )


def _url(text: str) -> str:
    """The authority may stand without its scheme: azure-identity takes both."""
    return (text if "://" in text else f"https://{text}").rstrip("/")


def _is_address(text: str) -> bool:
    """Whether it names a host and no more: no user, no path and no query go along with a token."""
    return re.fullmatch(rf"https://{HOST}", _url(text)) is not None
