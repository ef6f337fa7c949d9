"""Sign in to Azure."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from azureml_tasks.engines.acr.clouds import ACR_AUDIENCE
from azureml_tasks.engines.acr.waiting import patient_transport
from azureml_tasks.errors import EngineError, RegistryError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential

    from azureml_tasks.engines.acr.clouds import Cloud

_MAX_LINES = 12
"""Lines of an azure-identity error that are shown: each credential of the chain adds its own."""


def require_libraries() -> None:
    """Check that Microsoft's libraries are installed.

    Raises:
        EngineError: one is missing.
    """
    try:
        import azure.core
        import azure.identity
        import azure.storage.blob  # noqa: F401 -- only checks that it is installed
    except ImportError as error:
        what = f"--engine acr needs a library that is not installed: {error.name}."
        # Not the extra of this package, whose name on an index may belong to someone else.
        raise EngineError(
            what, next_step="pip install azure-core azure-identity azure-storage-blob"
        ) from error
    # Without a handler, Python prints the libraries' warnings between our lines.
    logging.getLogger("azure").addHandler(logging.NullHandler())


def token_scope(audience: str) -> str:
    """Return the OAuth scope of tokens for *audience*, a URL."""
    return f"{audience}/.default"


def sign_in(cloud: Cloud, say: Callable[[str], None]) -> TokenCredential:
    """Sign in with the first credential that works: service principal, workload or managed identity, `az login`.

    Their order: https://learn.microsoft.com/python/api/azure-identity/azure.identity.defaultazurecredential

    Args:
        cloud: where to sign in.
        say: takes what a wait is for.

    Raises:
        RegistryError: no credential works.
    """
    from azure.core.exceptions import AzureError
    from azure.identity import DefaultAzureCredential

    try:
        credential = DefaultAzureCredential(
            authority=cloud.authority,
            disable_instance_discovery=not cloud.known_authority,
            transport=patient_transport(say),
        )
        credential.get_token(token_scope(cloud.resource_manager))
    except (AzureError, ValueError) as error:
        raise sign_in_error(error) from error
    return credential


def registry_token(cloud: Cloud, credential: TokenCredential) -> str:
    """Return a token for the registries of *cloud*.

    Raises:
        RegistryError: Microsoft Entra ID gives none.
    """
    from azure.core.exceptions import AzureError

    try:
        return credential.get_token(token_scope(cloud.registry_audience)).token
    except (AzureError, ValueError) as error:
        refused = sign_in_error(error)
        refused.next_step += (
            f"\nor, where {cloud.registry_audience} is not known, as on Azure Local: "
            f"{ACR_AUDIENCE}=AUDIENCE, for example {cloud.resource_manager}"
        )
        raise refused from error


def sign_in_error(error: Exception) -> RegistryError:
    """Return the error for a credential that gives no token, or no longer does."""
    lines = [line for line in clean(str(error)).splitlines() if line.strip()]
    fix = (
        "az login\n"
        "or, in CI: set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or use a federated credential"
    )
    said = "\n".join(["azure-identity said:", *lines[:_MAX_LINES]])
    return RegistryError("You are not signed in to Azure.", next_step=fix, said=said)
