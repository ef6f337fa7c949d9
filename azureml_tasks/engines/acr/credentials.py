"""Who asks: Azure's own chain of credentials, the same that its command lines and CI actions fill."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from azureml_tasks.errors import EngineError, RegistryError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from azureml_tasks.engines.acr.clouds import Cloud

__all__ = ["need_libraries", "not_signed_in", "scope", "sign_in"]

_LONGEST = 12
"""Lines of what a chain of credentials says; each member of it tells its own story."""


def need_libraries() -> None:
    """Make sure that Microsoft's libraries are installed.

    Raises:
        EngineError: they are not.
    """
    try:
        import azure.core
        import azure.identity
        import azure.storage.blob  # noqa: F401 -- whether it is there is all that is asked
    except ImportError as error:
        what = f"The hand-off to Azure needs libraries that are not installed: {error.name}."
        raise EngineError(what, next_step="pip install 'azureml-tasks[acr]'") from error
    # Without a handler, Python would write what they warn of between our lines.
    logging.getLogger("azure").addHandler(logging.NullHandler())


def scope(cloud: Cloud) -> str:
    """What a token is asked for: the very resource manager that it is sent to."""
    return f"{cloud.resource_manager}/.default"


def sign_in(cloud: Cloud) -> TokenCredential:
    """Sign in as `az login`, a service principal, a managed or workload identity or a federated CI credential says.

    https://learn.microsoft.com/python/api/azure-identity/azure.identity.defaultazurecredential tells their order.

    Raises:
        RegistryError: nobody is signed in, or the sign-in is refused.
    """
    from azure.core.exceptions import AzureError
    from azure.identity import DefaultAzureCredential

    try:
        credential = DefaultAzureCredential(
            authority=cloud.authority, disable_instance_discovery=not cloud.known
        )
        credential.get_token(scope(cloud))
    except (AzureError, ValueError) as error:
        raise not_signed_in(error) from error
    return credential


def not_signed_in(error: Exception) -> RegistryError:
    """The error of a credential that gives no token, or none any more."""
    lines = [line for line in clean(str(error)).splitlines() if line.strip()]
    fix = (
        "az login\n"
        "or, in CI: set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or use a federated credential"
    )
    said = "\n".join(["azure-identity said:", *lines[:_LONGEST]])
    return RegistryError("You are not signed in to Azure.", next_step=fix, said=said)
