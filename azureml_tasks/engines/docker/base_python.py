"""Which Python a base image has, without running anything in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.base_image import find_base
from azureml_tasks.engines.docker.unstarted_container import unstarted_container

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter


def base_python(
    client: EngineClient, reference: str, reporter: Reporter, records: Path
) -> tuple[int, int] | None:
    """Return the version of the Python that serves in a base image, such as (3, 12).

    It is the end of the link `bin/python` of the image's environment, seen in a container that is not started.

    Args:
        client: the engine.
        reference: of the base.
        reporter: announces the container.
        records: folder of the project's records.

    Returns:
        The version; None if the engine does not have the base, if it is not known, and under --dry.
    """
    base = find_base(client, reference)
    folder = base.env.get("AZUREML_CONDA_ENVIRONMENT_PATH") if base else ""
    if not base or not folder:
        return None
    path = f"{folder}/bin/python"
    argv = client.docker_command("run", "--rm", "--entrypoint", "readlink", reference, "-f", path)
    if not reporter.effect(argv):
        return None
    with unstarted_container(client, base.id, records, reporter) as container:
        archive = container.read(path)
        for _ in archive.blocks if archive else ():
            pass  # A link is one block; the connection is free again after the last one.
    version = re.search(r"python(\d+)\.(\d+)$", str(archive.status.get("linkTarget", "")) if archive else "")
    return (int(version[1]), int(version[2])) if version else None
