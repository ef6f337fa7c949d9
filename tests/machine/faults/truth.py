"""What is really there: on the engine, in the registry, on this machine."""

from __future__ import annotations

import io
import json
import os
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.machine.acr.proxy import ask
from tests.machine.faults.checkout import MARK, Checkout
from tests.machine.faults.place import Place, client_of

__all__ = ["file_of_image", "images", "left", "manifest_config", "on_engine", "pushed"]

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
_TEMPORARY = "azureml-tasks.invalid/run:"


def on_engine(place: Place) -> set[str]:
    """Return everything that the engine has: containers, volumes, images with their references."""
    with client_of(place.engine.host) as client:
        containers = {
            f"container {container['Names']} {container['State']}"
            for container in client.api.containers(all=True)
        }
        volumes = {f"volume {volume['Name']}" for volume in client.api.volumes()["Volumes"] or ()}
    return containers | volumes | {f"image {name}" for name in images(place)}


def images(place: Place) -> dict[str, str]:
    """Return every reference on the engine with the ID of its image; an image without one is its own."""
    with client_of(place.engine.host) as client:
        ids = {}
        for image in client.api.images(all=False):
            names = [name for name in image["RepoTags"] or () if name != "<none>:<none>"]
            ids.update(dict.fromkeys(names or [f"unnamed {image['Id'][:19]}"], image["Id"]))
        return ids


def file_of_image(place: Place, image: str, path: str) -> bytes:
    """Return the content of a file of an image."""
    with client_of(place.engine.host) as client:
        container = client.containers.create(image, ["true"], entrypoint=[])
        try:
            stream, _ = container.get_archive(path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                member = archive.extractfile(Path(path).name)
                return member.read() if member else b""
        finally:
            container.remove(force=True, v=True)


def left(place: Place, checkouts: list[Checkout], before: set[str]) -> list[str]:
    """Return what is left although no command runs: on the engine, among records, in other folders, as processes.

    Args:
        place: the engine.
        checkouts: whose commands were run.
        before: what the engine had before the first of them.
    """
    things = [
        thing
        for thing in sorted(on_engine(place) - before)
        if thing.startswith(("container ", "volume ", "image unnamed ", f"image {_TEMPORARY}"))
    ]
    for checkout in checkouts:
        things += [f"staged {path.name}" for path in checkout.records.glob("run-*")]
        things += [f"staged {path.name}" for path in checkout.records.glob("tmp*")]
        things += [f"temporary {path.name}" for path in checkout.temporary.iterdir()]
        things += [f"note {path.name}" for path in checkout.state.glob("azureml-tasks/runs/*/*.json")]
        things += _processes(checkout)
    return things


def _processes(checkout: Checkout) -> list[str]:
    processes, mark = [], f"{MARK}={checkout.name}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # It has ended.
            if mark in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                processes.append(
                    f"process {(process / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
                )
    return processes


def pushed(place: Place, repository: str) -> dict[str, str]:
    """Return each tag of a repository in the registry with its digest; the proxy is not asked."""
    status, _, body = ask(place.proxy.upstream, "GET", f"/v2/{repository}/tags/list")
    tags = json.loads(body).get("tags") or [] if status == 200 else []
    digests = {}
    for tag in tags:
        accept = {"Accept": _MANIFEST}
        status, headers, _ = ask(place.proxy.upstream, "HEAD", f"/v2/{repository}/manifests/{tag}", accept)
        if status == 200:
            digests[str(tag)] = str(headers["docker-content-digest"])
    return digests


def manifest_config(place: Place, repository: str, digest: str) -> str:
    """Return the digest of the configuration of a manifest in the registry, which is the ID of its image."""
    _, _, body = ask(
        place.proxy.upstream, "GET", f"/v2/{repository}/manifests/{digest}", {"Accept": _MANIFEST}
    )
    manifest: dict[str, Any] = json.loads(body)
    return str(manifest["config"]["digest"])
