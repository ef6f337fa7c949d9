"""Docker's command lines of three kinds, whatever this machine has installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.machine import apt

__all__ = ["Client", "clients", "environment"]

_FOLDER = Path(__file__).parents[2] / ".machine" / "clients"
_DOCKER = "usr/bin/docker"
_BUILDX = "usr/libexec/docker/cli-plugins/docker-buildx"


@dataclass(frozen=True, kw_only=True)
class Client:
    """A `docker` command.

    Args:
        folder: holds `docker`; first on PATH, it is the one that is found.
        buildx: the plug-in's file, for a client that has it.
    """

    folder: Path
    buildx: Path | None = None


def clients() -> Mapping[str, Client]:
    """The clients by name, fetched from Debian at their first use.

    Returns:
        `20.10`: BuildKit is built in, no buildx; `26.1`: neither, so it only has the legacy builder;
        `26.1-buildx`: the same with the plug-in.
    """
    old = apt.unpack({_DOCKER: "docker.io"}, "bookworm", _FOLDER / "bookworm")
    new = apt.unpack({_DOCKER: "docker-cli", _BUILDX: "docker-buildx"}, "trixie", _FOLDER / "trixie")
    return {
        "20.10": Client(folder=old / "usr/bin"),
        "26.1": Client(folder=new / "usr/bin"),
        "26.1-buildx": Client(folder=new / "usr/bin", buildx=new / _BUILDX),
    }


def environment(client: Client, config: Path) -> dict[str, str]:
    """The environment in which `docker` is *client*, with plug-ins as it says.

    Args:
        client: one of `clients()`.
        config: a folder for DOCKER_CONFIG, which gets the plug-in; a config.json in it is kept.
    """
    plugin = config / "cli-plugins" / "docker-buildx"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    plugin.unlink(missing_ok=True)
    if client.buildx:
        plugin.symlink_to(client.buildx)
    else:
        # A file that is no plug-in hides one that the machine itself may have: docker looks here first.
        plugin.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        plugin.chmod(0o755)
    path = os.pathsep.join([str(client.folder), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "DOCKER_CONFIG": str(config)}
