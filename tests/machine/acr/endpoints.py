"""The five endpoints together: bound first, since what is behind them has to name them, and served last."""

from __future__ import annotations

from contextlib import ExitStack

from tests.machine.acr import certificates, entra
from tests.machine.acr.data_plane import DataPlane
from tests.machine.acr.faults import Faults
from tests.machine.acr.fronts import Front
from tests.machine.acr.gate import Gate
from tests.machine.acr.management import Management
from tests.machine.acr.messages import Recorded
from tests.machine.acr.runs import Runs
from tests.machine.acr.storage import Storage
from tests.machine.acr.tokens import Issuer
from tests.machine.acr.world import Settings, World

__all__ = ["Endpoints"]


class Endpoints:
    """The five endpoints, bound to their ports before anything else, which has to name them."""

    def __init__(self, made: certificates.Certificates, stack: ExitStack) -> None:
        self.faults, self.issuer = Faults(), Issuer(made)
        self.requests: list[Recorded] = []

        def front(name: str, *, secure: bool = False) -> Front:
            made_front = Front(
                name,
                struck=self.faults,
                issuer=self.issuer,
                requests=self.requests,
                context=made.server if secure else None,
            )
            stack.callback(made_front.stop)
            return made_front

        self.arm, self.aad = front("arm", secure=True), front("aad", secure=True)
        self.identity, self.registry, self.storage = front("identity"), front("registry"), front("storage")
        stack.callback(self.faults.clear)  # the first to go on the way out: no request may wait any more

    def start(
        self, *, settings: Settings, world: World, storage: Storage, runs: Runs, plane: DataPlane
    ) -> None:
        """Serve."""
        gate = Gate(url=self.arm.url, directory=self.aad.url, issuer=self.issuer, settings=settings)
        management = Management(gate=gate, settings=settings, world=world, storage=storage, runs=runs)
        plane.audiences = (*gate.audiences(), "https://containerregistry.azure.net")
        directory = entra.Directory(url=self.aad.url, issuer=self.issuer, settings=settings)
        self.arm.start(management.answer)
        self.aad.start(directory.answer)
        self.identity.start(entra.ManagedIdentity(issuer=self.issuer, settings=settings).answer)
        self.registry.start(plane.answer)
        self.storage.start(storage.answer)
