"""The five endpoints: bound to ports first, because other parts need their URLs, and served last."""

from __future__ import annotations

from contextlib import ExitStack

from tests.machine.acr import certificates, entra
from tests.machine.acr.authorization import Authorization
from tests.machine.acr.azure_state import AzureState, Settings
from tests.machine.acr.data_plane import DataPlane
from tests.machine.acr.endpoint_server import EndpointServer
from tests.machine.acr.faults import Faults
from tests.machine.acr.management import Management
from tests.machine.acr.messages import Recorded
from tests.machine.acr.runs import Runs
from tests.machine.acr.storage import Storage
from tests.machine.acr.tokens import Issuer

__all__ = ["Endpoints"]


class Endpoints:
    """The five endpoints, bound to their ports."""

    def __init__(self, certs: certificates.Certificates, stack: ExitStack) -> None:
        self.faults, self.issuer = Faults(), Issuer(certs)
        self.requests: list[Recorded] = []

        def endpoint(name: str, *, secure: bool = False) -> EndpointServer:
            server = EndpointServer(
                name,
                struck=self.faults,
                issuer=self.issuer,
                requests=self.requests,
                context=certs.server if secure else None,
            )
            stack.callback(server.stop)
            return server

        self.arm, self.aad = endpoint("arm", secure=True), endpoint("aad", secure=True)
        self.identity, self.registry, self.storage = (
            endpoint("identity"),
            endpoint("registry"),
            endpoint("storage"),
        )
        stack.callback(self.faults.clear)  # the first to go on the way out: no request may wait any more

    def start(
        self, *, settings: Settings, azure_state: AzureState, storage: Storage, runs: Runs, plane: DataPlane
    ) -> None:
        """Start to serve."""
        authorization = Authorization(
            url=self.arm.url, directory=self.aad.url, issuer=self.issuer, settings=settings
        )
        management = Management(
            authorization=authorization,
            settings=settings,
            azure_state=azure_state,
            storage=storage,
            runs=runs,
        )
        directory = entra.Directory(url=self.aad.url, issuer=self.issuer, settings=settings)
        self.arm.start(management.answer)
        self.aad.start(directory.answer)
        self.identity.start(entra.ManagedIdentity(issuer=self.issuer, settings=settings).answer)
        self.registry.start(plane.answer)
        self.storage.start(storage.answer)
