"""Start and stop the whole loopback."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from tests.machine import azurite, clients, registry
from tests.machine.acr import certificates, data_plane
from tests.machine.acr.agent import Agents
from tests.machine.acr.azure_state import Settings, azure_state
from tests.machine.acr.data_plane import DataPlane
from tests.machine.acr.endpoints import Endpoints
from tests.machine.acr.log import Log
from tests.machine.acr.registry_contents import RegistryContents
from tests.machine.acr.runs import Runs
from tests.machine.acr.service import Acr
from tests.machine.acr.storage import Storage

__all__ = ["Acr", "running"]

_CACHE = "azureml-loopback-cache-"


@contextmanager
def running(docker_host: str) -> Iterator[Acr]:
    """Run a loopback that builds on the engine at *docker_host*, and remove everything afterwards.

    Raises:
        NotPossibleError: a part cannot be had here; the words say which.
    """
    with ExitStack() as stack:
        emulator = stack.enter_context(azurite.running())
        command_line = clients.clients()["20.10"].folder
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="azureml-tasks-")))
        certs = certificates.make(folder)
        endpoint_servers = Endpoints(certs, stack)
        client = stack.enter_context(closing(docker.DockerClient(base_url=docker_host, timeout=600)))
        settings, issuer = Settings(), endpoint_servers.issuer
        plane = DataPlane(service=endpoint_servers.registry.host, issuer=issuer, settings=settings)
        pem = folder / "registry-tokens.pem"
        pem.write_text(certs.signing_pem(), encoding="utf-8")
        auth = data_plane.registry_auth(
            plane.service, f"{endpoint_servers.registry.url}/oauth2/token", str(pem)
        )
        plane.upstream = stack.enter_context(registry.registry(auth=auth)).host
        storage = Storage(azurite=emulator, url=endpoint_servers.storage.url, settings=settings)
        storage.prepare()
        cache = f"{_CACHE}{os.getpid()}"
        stack.callback(_forget, client, cache)
        contents = RegistryContents(plane)
        agents = Agents(
            client=client,
            host=docker_host,
            docker=command_line,
            storage=storage,
            plane=plane,
            settings=settings,
            digest=contents.digest,
            cache=cache,
        )
        runs = Runs(agents.work, lambda name: _log(storage, name))
        stack.callback(runs.end)
        acr = Acr(
            login_server=plane.service,
            resource_manager=endpoint_servers.arm.url,
            directory=endpoint_servers.aad.url,
            identity=endpoint_servers.identity.url,
            bundle=certs.bundle,
            settings=settings,
            faults=endpoint_servers.faults,
            runs=runs,
            requests=endpoint_servers.requests,
            azure_state=azure_state(plane.service),
            issuer=issuer,
            contents=contents,
        )
        endpoint_servers.start(
            settings=settings, azure_state=acr.azure_state, storage=storage, runs=runs, plane=plane
        )
        yield acr


def _log(storage: Storage, run: str) -> Log:
    path = storage.new_log(run)
    return Log(storage.blob(path), path)


def _forget(client: docker.DockerClient, cache: str) -> None:
    """Remove the images that were kept for their layers, including those of killed loopbacks."""
    for image in client.api.images():  # in one answer, since others remove theirs meanwhile
        for tag in image["RepoTags"] or ():
            name, _, _ = tag.rpartition(":")
            dead = name.startswith(_CACHE) and not Path("/proc", name.removeprefix(_CACHE)).exists()
            if name == cache or dead:
                with suppress(ImageNotFound):  # another loopback was first
                    client.images.remove(tag, force=True)
