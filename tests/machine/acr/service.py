"""The loopback as tests see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.machine.acr import entra
from tests.machine.acr.contents import Contents
from tests.machine.acr.faults import Faults
from tests.machine.acr.messages import Recorded
from tests.machine.acr.runs import Runs, Script
from tests.machine.acr.tokens import Issuer
from tests.machine.acr.world import CLIENT, SECRET, TENANT, Registry, Settings, World

__all__ = ["Acr"]

_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, kw_only=True)
class Acr:
    """A loopback that runs.

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
        world: what Resource Manager knows.
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
    world: World
    issuer: Issuer
    contents: Contents

    @property
    def subscription(self) -> str:
        """Id of the main registry's subscription."""
        return self.world.main.subscription

    @property
    def resource_group(self) -> str:
        """Its resource group, also the workspace's."""
        return self.world.main.resource_group

    @property
    def name(self) -> str:
        """The main registry's name."""
        return self.world.main.name

    @property
    def workspace(self) -> str:
        """The workspace's name."""
        return self.world.workspace

    @property
    def registry(self) -> Registry:
        """The main registry as a resource."""
        return self.world.main

    def environment(self) -> dict[str, str]:
        """Variables by which a client signs in here with a secret, and reaches nothing but this machine."""
        return {
            **self._surroundings(),
            "AZURE_CLIENT_SECRET": SECRET,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
        }

    def managed_identity(self) -> dict[str, str]:
        """The same for what runs on Azure itself, with its own identity."""
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
        """Say how the next run goes; see `Script`."""
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
        """Let every token expire that was given so far, of whatever kind."""
        self.issuer.expire()

    def reset(self) -> None:
        """End what still runs, and set faults, settings and records of requests back."""
        self.faults.clear()
        self.runs.end()
        self.settings.set_to(Settings())
        self.requests.clear()

    def tags(self, repository: str) -> dict[str, str]:
        """Tag -> digest, as the registry itself says."""
        return self.contents.tags(repository)

    def manifest(self, repository: str, reference: str) -> bytes:
        """A manifest as the registry has it, by tag or digest."""
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
