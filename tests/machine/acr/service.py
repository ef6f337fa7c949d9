"""The loopback's interface for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.machine.acr import entra
from tests.machine.acr.azure_state import CLIENT, SECRET, TENANT, AzureState, Registry, Settings
from tests.machine.acr.faults import Faults
from tests.machine.acr.messages import Recorded
from tests.machine.acr.registry_contents import RegistryContents
from tests.machine.acr.runs import Runs, Script
from tests.machine.acr.tokens import Issuer

__all__ = ["Acr"]

_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, kw_only=True)
class Acr:
    """A running loopback.

    Args:
        login_server: the registry's, `127.0.0.1:PORT`, plain HTTP.
        resource_manager: `https://127.0.0.1:PORT`.
        directory: who gives tokens, `https://127.0.0.1:PORT`.
        identity: the endpoint of a managed identity, plain HTTP.
        bundle: the file with the authorities that a client has to trust.
        settings: what a test may change.
        faults: what a test lets go wrong.
        runs: every run so far.
        requests: every request so far.
        azure_state: what Resource Manager knows.
        issuer: knows every token.
        contents: what is in the registry.
    """

    login_server: str
    resource_manager: str
    directory: str
    identity: str
    bundle: Path
    settings: Settings
    faults: Faults
    runs: Runs
    requests: list[Recorded]
    azure_state: AzureState
    issuer: Issuer
    contents: RegistryContents

    @property
    def subscription(self) -> str:
        """ID of the main registry's subscription."""
        return self.azure_state.main.subscription

    @property
    def resource_group(self) -> str:
        """Resource group of the main registry and the workspace."""
        return self.azure_state.main.resource_group

    @property
    def name(self) -> str:
        """Name of the main registry."""
        return self.azure_state.main.name

    @property
    def workspace(self) -> str:
        """Name of the workspace."""
        return self.azure_state.workspace

    @property
    def registry(self) -> Registry:
        """The main registry."""
        return self.azure_state.main

    def environment(self) -> dict[str, str]:
        """Return the environment of a client that signs in with a secret."""
        return {
            **self._surroundings(),
            "AZURE_CLIENT_SECRET": SECRET,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
        }

    def managed_identity(self) -> dict[str, str]:
        """Return the environment of a client with a managed identity."""
        return {
            **self._surroundings(),
            "IDENTITY_ENDPOINT": f"{self.identity}/msi/token",
            "IDENTITY_HEADER": entra.IDENTITY_SECRET,
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        }

    def next_run(
        self,
        *,
        status: str | None = None,
        output_images: list[Mapping[str, str]] | None = None,
        error: str | None = None,
        log: str = "",
        queued: bool = False,
        silent: bool = False,
    ) -> Script:
        """Script the next run; see `Script`."""
        script = Script(
            status=status,
            output_images=output_images or [],
            error=error,
            log=log,
            queued=queued,
            silent=silent,
        )
        return self.runs.script(script)

    def expire_tokens(self) -> None:
        """Expire every token that was issued."""
        self.issuer.expire()

    def reset(self) -> None:
        """Cancel all runs, and reset faults, settings and recorded requests."""
        self.faults.clear()
        self.runs.end()
        self.settings.set_to(Settings())
        self.requests.clear()

    def tags(self, repository: str) -> dict[str, str]:
        """Return tag -> digest of a repository."""
        return self.contents.tags(repository)

    def manifest(self, repository: str, reference: str) -> bytes:
        """Return a manifest by its tag or digest."""
        return self.contents.manifest(repository, reference)

    def _surroundings(self) -> dict[str, str]:
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _NOWHERE)
        direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        return {
            **proxies,
            **direct,
            "AZURE_AUTHORITY_HOST": self.directory,
            "AZURE_TENANT_ID": TENANT,
            "INVOKE_AZUREML_IMAGE_RESOURCE_MANAGER": self.resource_manager,
            "REQUESTS_CA_BUNDLE": str(self.bundle),
            "SSL_CERT_FILE": str(self.bundle),
        }
