"""Where faults are injected: an engine, a registry behind a proxy, and a base, all of our own."""

from __future__ import annotations

import io
import random
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker

from tests.machine import bases, bridge
from tests.machine import clients as docker_clients
from tests.machine import engine as docker_engine
from tests.machine.acr import certificates
from tests.machine.acr.endpoint_server import EndpointServer
from tests.machine.acr.faults import Faults
from tests.machine.acr.proxy import forward
from tests.machine.acr.tokens import Issuer
from tests.machine.faults.small_disk import small_disk
from tests.machine.own_engine import OwnEngine, own_engine
from tests.machine.registry import registry

__all__ = ["Place", "Proxy", "client_of", "place"]

_ENGINE_BYTES, _REGISTRY_BYTES = 4 * 2**30, 2**30
_BASE = "azureml-stand-in/faults:1"
_BUILDERS = ("20.10", "26.1-buildx", "26.1")
"""Docker's clients: with BuildKit built in, with buildx, and with the legacy builder alone."""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy in front of a registry, which injects faults.

    Args:
        host: `127.0.0.1:PORT` of the proxy.
        upstream: of the registry.
        faults: that are in force.
        server: with the requests that came.
    """

    host: str
    upstream: str
    faults: Faults
    server: EndpointServer

    def requests(self) -> list[str]:
        """Return the requests since the last call, as `METHOD path`."""
        lines = [f"{each.method} {each.path}" for each in self.server.requests]
        self.server.requests.clear()
        return lines


@dataclass(frozen=True, kw_only=True)
class Place:
    """What faults are injected into.

    Args:
        engine: can be killed.
        proxy: what the engine takes for the registry.
        base: image that projects extend; it has a VOLUME.
        clients: docker's command lines by name.
        scratch: folder for projects.
        random: decides what fails when.
        engine_disk: the file system of the engine's images, in memory.
        registry_disk: that of the registry.
    """

    engine: OwnEngine
    proxy: Proxy
    base: str
    clients: Mapping[str, docker_clients.Client]
    scratch: Path
    random: random.Random
    engine_disk: Path
    registry_disk: Path
    _count: list[int] = field(default_factory=lambda: [0])

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of commands, with one of the builders and nothing of this user's."""
        client = self.clients[self.random.choice(_BUILDERS)]
        variables = docker_clients.environment(client, folder / "docker-config")
        of_user = r"INVOKE_|GITHUB_|TF_BUILD|SOURCE_DATE_EPOCH|DOCKER_(?!CONFIG)|BUILDX_"
        return {name: text for name, text in variables.items() if not re.match(of_user, name)}

    def new_name(self) -> str:
        """Return a name that no other project has."""
        self._count[0] += 1
        return f"fault-{self._count[0]}"


@contextmanager
def place(seed: int) -> Iterator[Place]:
    """Start an engine, a registry and the proxy in front of it; all end with the block.

    Raises:
        NotPossibleError: this machine cannot have an engine of its own.
    """
    with ExitStack() as stack:
        source = stack.enter_context(docker_engine.engine())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-", dir="/var/tmp")))
        disks = [
            stack.enter_context(small_disk(scratch / name, size))
            for name, size in (("engine", _ENGINE_BYTES), ("registry", _REGISTRY_BYTES))
        ]
        engine = stack.enter_context(own_engine(disks[0] / "docker", options=_options()))
        _with_base(source, engine.host)
        upstream = stack.enter_context(registry(storage=disks[1])).host
        yield Place(
            engine=engine,
            proxy=stack.enter_context(_proxy(upstream, scratch)),
            base=_BASE,
            clients=docker_clients.clients(),
            scratch=scratch,
            random=random.Random(seed),  # noqa: S311 -- a run can be repeated by its seed
            engine_disk=disks[0],
            registry_disk=disks[1],
        )


@contextmanager
def client_of(host: str) -> Iterator[docker.DockerClient]:
    """Yield the SDK's client of an engine; a new one each time, since engines die here."""
    with closing(docker.DockerClient(base_url=host, timeout=120)) as client:
        yield client


def _with_base(source: str, host: str) -> None:
    """Give the engine the base: the stand-in of Azure ML's, with a VOLUME."""
    with client_of(host) as client, client_of(source) as other:
        name = bases.copy("amlenv", other, client)
        text = f"FROM {name}\nVOLUME /var/data /var/more\n"
        client.images.build(fileobj=io.BytesIO(text.encode()), tag=_BASE, rm=True, forcerm=True)


def _options() -> list[str]:
    """Return options of dockerd with which it shares the bridge of the machine's engine, if there is one."""
    return bridge.sharing() if bridge.own_addresses() else []


@contextmanager
def _proxy(upstream: str, scratch: Path) -> Iterator[Proxy]:
    faults = Faults()
    server = EndpointServer("registry", struck=faults, issuer=Issuer(certificates.make(scratch)), requests=[])
    server.start(lambda request: forward(request, upstream))
    try:
        yield Proxy(host=server.host, upstream=upstream, faults=faults, server=server)
    finally:
        faults.clear()
        server.stop()
