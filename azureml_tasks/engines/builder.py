"""Which builder makes the image, and why that one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.process import MissingProgram, capture

if TYPE_CHECKING:
    from azureml_tasks.engines.endpoint import Endpoint

__all__ = ["Builder", "choose"]

_BUILT_IN_UNTIL = 23
"""docker's client has BuildKit built in up to 22; from 23 on it wants the buildx plug-in
(https://docs.docker.com/engine/release-notes/23.0/)."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A builder of the engine.

    Args:
        kind: "buildx", "buildkit" (the client's built-in mode) or "legacy" (through the engine's API).
        why: one clause, for people.
    """

    kind: str
    why: str

    def __str__(self) -> str:
        names = {
            "buildx": "BuildKit by docker buildx",
            "buildkit": "BuildKit by docker build",
            "legacy": "the legacy builder",
        }
        return f"{names[self.kind]} ({self.why})"


def choose(endpoint: Endpoint) -> Builder:
    """BuildKit where the docker client on PATH has it and the engine is Docker's, else the legacy builder."""
    if endpoint.is_podman:
        return Builder(kind="legacy", why="Podman builds through its own API")
    try:
        version = capture(["docker", "version", "--format", "{{.Client.Version}}"]).stdout.strip()
        if capture(["docker", "buildx", "version"]).code == 0:
            return Builder(kind="buildx", why=f"the docker client {version} on PATH has buildx")
    except MissingProgram:
        return Builder(kind="legacy", why="there is no docker client on PATH")
    major = re.match(r"\d+", version)
    if major and int(major[0]) < _BUILT_IN_UNTIL:
        return Builder(kind="buildkit", why=f"the docker client {version} on PATH has it built in")
    return Builder(
        kind="legacy", why=f"the docker client {version or 'of unknown version'} on PATH has no buildx"
    )
