"""Which Python a base image has, without running anything in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.base_image import find_base
from azureml_tasks.engines.docker.unstarted_container import unstarted_container

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.unstarted_container import UnstartedContainer
    from azureml_tasks.reporter import Reporter

_CONDA = "/opt/miniconda"


def base_python(
    client: EngineClient, reference: str, reporter: Reporter, records: Path, *, adds_server: bool = False
) -> tuple[int, int] | None:
    """Return the version of the Python that serves in a base image, such as (3, 12).

    It is the end of the link `bin/python` of the image's environment, seen in a container that is not started.

    Args:
        client: the engine.
        reference: of the base.
        reporter: announces the container.
        records: folder of the project's records.
        adds_server: whether the build adds the server, and so chooses a Python of the base.

    Returns:
        The version; None if the engine does not have the base, if it is not known, and under --dry.
    """
    base = find_base(client, reference)
    paths = _paths(base.env, adds_server=adds_server) if base else []
    if not base or not paths:
        return None
    argv = client.docker_command("run", "--rm", "--entrypoint", "readlink", reference, "-f", paths[0])
    if not reporter.effect(argv):
        return None
    with unstarted_container(client, base.id, records, reporter) as container:
        for path in paths:
            if (target := _link_target(container, path)) is not None:
                version = re.search(r"python(\d+)\.(\d+)$", target)
                return (int(version[1]), int(version[2])) if version else None
    return None


def _paths(env: Mapping[str, str], *, adds_server: bool) -> list[str]:
    """Return where the Python that serves may be, in the order in which `in_image/server_environment.sh` looks."""
    folders = [env.get("AZUREML_CONDA_ENVIRONMENT_PATH", "")]
    if not adds_server:
        return [f"{folder}/bin/python" for folder in folders if folder]
    folders += [env.get("CONDA_PREFIX", ""), _CONDA]
    return [
        *(f"{folder}/bin/python" for folder in folders if folder),
        *(
            f"{folder}/{name}"
            for name in ("python3", "python")
            for folder in env.get("PATH", "").split(":")
            if folder
        ),
    ]


def _link_target(container: UnstartedContainer, path: str) -> str | None:
    """Return the end of the link *path*, or *path* if it is no link; None if there is no such file."""
    archive = container.read(path)
    if not archive:
        return None
    for _ in archive.blocks:
        pass  # A link is one block; the connection is free again after the last one.
    return str(archive.status.get("linkTarget") or path)
