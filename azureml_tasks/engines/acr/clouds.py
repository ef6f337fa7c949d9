"""Endpoints of Azure's clouds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.errors import Problem, SettingsError
from azureml_tasks.image_reference import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

ACR_AUDIENCE = "INVOKE_AZUREML_IMAGE_ACR_AUDIENCE"
_AUTHORITY = "AZURE_AUTHORITY_HOST"
_RESOURCE_MANAGER = "INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER"
_HOST_URL = rf"https://{HOST}"
"""Scheme and host only: no user, path or query is sent with a token."""
_AUDIENCE = rf"https://{HOST}(?:/[\w.~-]+)*/?"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """The endpoints of one cloud.

    Args:
        authority: URL of Microsoft Entra ID.
        resource_manager: URL of Azure Resource Manager; also the audience of its tokens.
        portal: URL of the Azure portal.
        registry_audience: audience of the tokens that registries take; the same in every cloud of Microsoft's.
            Registries can refuse tokens for Azure Resource Manager, see
            https://learn.microsoft.com/azure/container-registry/container-registry-disable-authentication-as-arm
        known_authority: whether Microsoft's libraries know the authority; they look up any other one online.
    """

    authority: str
    resource_manager: str
    portal: str
    registry_audience: str = "https://containerregistry.azure.net"
    known_authority: bool = True


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


def get_cloud(name: str, environment: Mapping[str, str]) -> Cloud:
    """Return the endpoints of the cloud *name*; environment variables override them.

    No file of the project can set an endpoint, so a pull request cannot send the credentials of CI elsewhere.

    Raises:
        SettingsError: a variable is not an https URL of a host.
    """
    problems = [
        Problem(
            variable,
            0,
            f'"{environment[variable]}" is not an https URL of a host',
            _fix(environment, variable),
        )
        for variable in (_AUTHORITY, _RESOURCE_MANAGER)
        if environment.get(variable) and not re.fullmatch(_HOST_URL, _url(environment[variable]))
    ]
    audience = environment.get(ACR_AUDIENCE) or _CLOUDS[name].registry_audience
    if not re.fullmatch(_AUDIENCE, audience):
        what, fix = f'"{audience}" is not an https URL', f"unset {ACR_AUDIENCE}"
        problems.append(Problem(ACR_AUDIENCE, 0, what, fix))
    if problems:
        raise SettingsError(problems)
    cloud = _CLOUDS[name]
    authority = _url(environment.get(_AUTHORITY) or cloud.authority)
    return Cloud(
        authority=authority,
        resource_manager=_url(environment.get(_RESOURCE_MANAGER) or cloud.resource_manager),
        portal=cloud.portal,
        registry_audience=audience,
        known_authority=authority in {known.authority for known in _CLOUDS.values()},
    )


def _url(text: str) -> str:
    """Add the scheme, which azure-identity allows to leave out of the authority."""
    return (text if "://" in text else f"https://{text}").rstrip("/")


def _fix(environment: Mapping[str, str], variable: str) -> str:
    """Return the next step for a variable that is no URL of a host; an authority often has its tenant in its path."""
    match = re.fullmatch(rf"({_HOST_URL})/([\w.-]+)/?", _url(environment[variable]))
    if variable != _AUTHORITY or not match:
        return f"unset {variable}"
    url, tenant = match.groups()
    where = " for AD FS" if tenant.lower() == "adfs" else ""
    return f"Write{where}: {_AUTHORITY}={url}\nand: AZURE_TENANT_ID={tenant}"
