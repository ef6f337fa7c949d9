"""What `image.doctor` finds about the engine: its version, its address, its images, its disk and its platforms."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.client_environment import client_environment
from azureml_tasks.engines.docker.doctor_config import PROGRAM_LIMIT
from azureml_tasks.engines.doctor_finding import Finding, Status, of_error
from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import one_line, shell_join
from azureml_tasks.process import MissingProgram, SlowProgram, capture
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.engines.docker.client import EngineClient

SMALL_DISK = 5 * 10**9
"""Bytes that are little for images: Azure ML's smallest inference images have more than one gigabyte unpacked."""
_CONTAINERD = ["driver-type", "io.containerd.snapshotter.v1"]
"""In `DriverStatus` of an engine that keeps its images in containerd:
https://docs.docker.com/engine/storage/containerd/#verify-that-youre-using-the-containerd-image-store."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
"""As the kernel and as images name them."""
_KERNEL_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}
_DESKTOP = "Docker Desktop"
"""The `OperatingSystem` of an engine in a virtual machine, which brings emulators for other platforms:
https://docs.docker.com/build/building/multi-platform/#qemu."""
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_EMULATED = "Everything in the image runs several times slower here than on Azure's machines."
_NOT_EMULATED = "No step of a build, and no smoke test, can run."


def engine_findings() -> tuple[list[Finding], EngineClient | None]:
    """Return the findings about the connection, and the client of the engine; None if none answers."""
    try:
        client = connect()
    except EngineError as error:
        why = "Without it nothing is built or tested here."
        return [of_error("engine", error, Status.BLOCKS, why)], None
    kind = "Podman" if client.is_podman else "Docker"
    what = f"{kind} {client.version}, API {client.api}"
    if client.is_podman or client.has_buildkit:
        return [Finding("engine", Status.OK, what), _context(client)], client
    why = "It has no BuildKit, so packages are downloaded again in each build and secrets cannot be mounted."
    fix = "Update it to Docker 20.10 or later: https://docs.docker.com/engine/install/"
    return [Finding("engine", Status.WARNING, what, why, fix), _context(client)], client


def _context(client: EngineClient) -> Finding:
    """Say where the engine is, and what leads to it."""
    where = f'{client.host}, context "{client.context}"'
    if os.environ.get("DOCKER_HOST"):
        if client.config.context != "default":
            why = f'The current context, "{client.config.context}", is not used.'
            return Finding(
                "context", Status.NOTE, f"{client.host}, which DOCKER_HOST names", why, "unset DOCKER_HOST"
            )
        where = f"{client.host}, which DOCKER_HOST names"
    return Finding("context", Status.OK, where)


def read_info(client: EngineClient) -> Mapping[str, Any]:
    """Return what the engine says of itself.

    Raises:
        EngineError: it does not answer, or not as the API describes.
    """
    with translate_errors(client.host):
        return client.read_info()


def images_finding(info: Mapping[str, Any]) -> Finding:
    """Say where the engine keeps its images."""
    driver = _text(info, "Driver") or "unknown"
    status = info.get("DriverStatus")
    if isinstance(status, list) and _CONTAINERD in status:
        return Finding("images", Status.OK, f"kept in containerd, snapshotter {driver}")
    if driver == "vfs":
        why = "Each layer is a whole copy of those below it, so builds are slow and fill the disk."
        fix = "Set the storage driver overlay2: https://docs.docker.com/engine/storage/drivers/select-storage-driver/"
        return Finding("images", Status.WARNING, "kept by the storage driver vfs", why, fix)
    return Finding("images", Status.OK, f"kept by the storage driver {driver}, not in containerd")


def disk_finding(client: EngineClient, info: Mapping[str, Any]) -> Finding:
    """Say how much room the engine's disk has, if it can be looked at from here."""
    name, folder = "engine's disk", _text(info, "DockerRootDir")
    is_here = client.is_local and _text(info, "OperatingSystem") != _DESKTOP
    try:
        free = shutil.disk_usage(folder).free if is_here and os.path.isabs(folder) else None  # noqa: PTH117 -- a text
    except OSError:
        free = None
    fix = shell_join(client.docker_command("system", "df"))
    if free is None:
        what = f"{folder or 'the folder of its images'} cannot be looked at from here"
        return Finding(name, Status.UNKNOWN, what, "A full disk ends builds, pulls and tests.", fix)
    return free_space(
        name, folder, free, f"{fix}\nthen: {shell_join(client.docker_command('system', 'prune'))}"
    )


def free_space(name: str, folder: str, free: int, fix: str) -> Finding:
    """Return the finding for *free* bytes on the disk of *folder*."""
    what = f"{size_text(free)} free at {folder}"
    if free >= SMALL_DISK:
        return Finding(name, Status.OK, what)
    return Finding(name, Status.WARNING, what, "A full disk ends builds, pulls and tests.", fix)


def emulation_finding(client: EngineClient, info: Mapping[str, Any], platform: str) -> Finding:
    """Say whether the engine runs images for *platform*, such as `linux/amd64`."""
    machine = _text(info, "Architecture")
    system, architecture = _text(info, "OSType") or "linux", _ARCHITECTURES.get(machine, machine)
    own, wanted = f"{system}/{architecture}", "/".join(platform.split("/")[:2])
    if own == wanted:
        return Finding("platform", Status.OK, f"{platform}, the engine's own")
    what, fix = f"{platform} on an engine of {own}", _emulator(platform)
    is_emulated = _is_emulated(client, info, wanted)
    if is_emulated is None:
        return Finding(
            "platform", Status.UNKNOWN, f"{what}; whether it is emulated is not known", _NOT_EMULATED, fix
        )
    if is_emulated:
        remote = "Build where the platform is native: invoke image.build --engine acr"
        return Finding("platform", Status.WARNING, f"{what}, emulated", _EMULATED, remote)
    return Finding("platform", Status.BLOCKS, f"{what}, and nothing emulates it", _NOT_EMULATED, fix)


def _emulator(platform: str) -> str:
    """https://docs.docker.com/build/building/multi-platform/#install-qemu-manually."""
    architecture = platform.split("/")[1] if "/" in platform else platform
    return (
        "On Debian and Ubuntu: sudo apt-get install qemu-user-static\n"
        f"or: docker run --privileged --rm tonistiigi/binfmt --install {architecture}\n"
        "or: invoke image.build --engine acr"
    )


def _is_emulated(client: EngineClient, info: Mapping[str, Any], wanted: str) -> bool | None:
    """Return whether the engine can run the platform *wanted*: its builder tells; None if nothing does."""
    if platforms := _builder_platforms(client):
        return wanted in platforms
    if _text(info, "OperatingSystem") == _DESKTOP:
        return True
    if not client.is_local or not _BINFMT.is_dir():
        return None
    architecture = wanted.split("/")[1]
    return (_BINFMT / f"qemu-{_KERNEL_NAMES.get(architecture, architecture)}").exists()


def _builder_platforms(client: EngineClient) -> frozenset[str]:
    """Return the platforms of the engine's builder; empty if docker's client has no buildx."""
    try:
        argv = client.docker_command("buildx", "inspect", client.context)
        done = capture(argv, env=client_environment(client), timeout=PROGRAM_LIMIT)
    except (MissingProgram, SlowProgram):
        return frozenset()
    listed = re.search(r"(?m)^\s*Platforms:(.*)$", done.stdout)
    names = listed[1].split(",") if listed else []
    return frozenset("/".join(name.strip(" *").split("/")[:2]) for name in names if name.strip())


def _text(info: Mapping[str, Any], key: str) -> str:
    value = info.get(key)
    return one_line(value) if isinstance(value, str) else ""
