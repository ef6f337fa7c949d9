"""The environment of docker's client: the engine of this run, and nothing that gives our commands another meaning."""

from __future__ import annotations

import functools
import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.docker_config import DockerConfig

_KEPT = {"BUILDX_CONFIG"}
"""The folder of buildx, for a home folder that cannot be written."""
_TAKEN_AWAY = {
    "SOURCE_DATE_EPOCH",  # buildx would date images and layers by it; we read it for a label alone
    "DOCKER_API_VERSION",  # another version than that of our own requests
    "DOCKER_DEFAULT_PLATFORM",
    "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",  # another base than the one that was checked
}


def client_environment(client: EngineClient) -> dict[str, str | None]:
    """Return how the environment of docker's client differs from ours; None takes a variable away.

    Every variable of buildx is taken away: BUILDX_EXPERIMENTAL lets a build that reads its context from stdin hang
    (docker/buildx#2368), BUILDX_GIT_LABELS adds labels, and BUILDX_BUILDER names another builder:
    https://docs.docker.com/build/building/variables/#build-tool-configuration-variables.

    BUILDX_GIT_INFO keeps buildx from asking git about the folder of the build context: the project around it may look
    like a bare repository, whose configuration names programs.

    The docker context is named, so that it stays the same if another command changes the current one meanwhile.
    """
    buildx = {name for name in os.environ if name.startswith("BUILDX_")} - _KEPT
    changes: dict[str, str | None] = dict.fromkeys(sorted(buildx | _TAKEN_AWAY & os.environ.keys()))
    # A client with built-in BuildKit uses the legacy builder unless this variable is set.
    changes |= {"DOCKER_BUILDKIT": "1", "BUILDX_GIT_INFO": "false"}
    if not os.environ.get("DOCKER_HOST"):
        changes |= {"DOCKER_HOST": None, "DOCKER_CONTEXT": client.context}
    return changes | configuration_folder(client.config)


def configuration_folder(config: DockerConfig) -> dict[str, str]:
    """Return the variable with which docker's client reads the same configuration as we do."""
    return {} if config.folder else {"DOCKER_CONFIG": _empty_folder().name}


@functools.cache
def _empty_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed as this process ends, for a user without a home folder.

    Docker's client would read `.docker/config.json` in the current folder, which may be the project's: that file can
    name plug-ins, which are run.
    """
    return tempfile.TemporaryDirectory(prefix="azureml-docker-")
