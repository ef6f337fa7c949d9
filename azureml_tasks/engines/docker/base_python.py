"""Which Python a base image has, without running anything in it."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.engines.docker.base_image import find_base
from azureml_tasks.engines.docker.leftovers import LABEL, container_name, tracked_run
from azureml_tasks.engines.interrupts import finish_call
from azureml_tasks.state.runs import Thing

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
    from docker.errors import NotFound

    base = find_base(client, reference)
    folder = base.env.get("AZUREML_CONDA_ENVIRONMENT_PATH") if base else ""
    if not base or not folder:
        return None
    path, api = f"{folder}/bin/python", client.sdk.api
    argv = client.docker_command("run", "--rm", "--entrypoint", "readlink", reference, "-f", path)
    if not reporter.effect(argv):
        return None
    with tracked_run(client, records, reporter) as run:
        name = container_name(run)
        run.note(Thing("container", name))
        labels = {LABEL: run.id}
        create = partial(
            api.create_container, base.id, command=["true"], entrypoint=[], name=name, labels=labels
        )
        with reading_answers():
            finish_call(create)
        try:
            # https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerArchiveInfo
            with reading_answers():
                blocks, status = api.get_archive(name, path)
            for _ in blocks:  # A link is one block; the connection is free again after the last one.
                pass
        except NotFound:
            return None
    version = re.search(r"python(\d+)\.(\d+)$", str(status.get("linkTarget", "")))
    return (int(version[1]), int(version[2])) if version else None
