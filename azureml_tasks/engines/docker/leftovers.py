"""Remove from an engine what a run has made: at its end, or by a later command if the run was killed."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.errors import EngineError
from azureml_tasks.incremental.cached_layers import NO_REGISTRY
from azureml_tasks.notice import Notice
from azureml_tasks.signals import delayed
from azureml_tasks.state.runs import Run, Thing, gone_runs, left_behind, remove_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter

LABEL = "azureml-tasks.run"
"""Label of each container that we start: the ID of its run."""
_TEMPORARY = f"{NO_REGISTRY}/run:"


def container_name(run: Run) -> str:
    """Return a name for a container of the run, which the run must note before the container is created."""
    return f"azureml-image-{run.new_name()}"


def temporary_reference(run: Run) -> str:
    """Return a reference, which is noted, for an image that has no other name yet; it is removed as the run ends."""
    thing = Thing("image", _TEMPORARY + run.new_name())
    run.note(thing)
    return thing.name


def keep_image(client: EngineClient, run: Run, image_id: str, other: str) -> None:
    """Let an image stay that has a temporary reference, by giving that to the image with the ID *other*.

    An engine deletes an image with its last reference, and another build may take the image's own name at any moment.
    """
    for thing in run.things:
        if not thing.name.startswith(_TEMPORARY):
            continue
        image = client.inspect_image(thing.name)
        if image and image["Id"] == image_id:
            client.tag_image(other, thing.name)


@contextmanager
def tracked_run(client: EngineClient, records: Path, reporter: Reporter) -> Iterator[Run]:
    """Yield a run, and remove what it has noted after the block, also if the block is interrupted.

    What cannot be removed, because the engine does not answer, stays noted for a later command.

    Args:
        client: the engine.
        records: folder of the project's records.
        reporter: says what is left.
    """
    run = Run(records, client.host)
    try:
        yield run
    finally:
        with delayed():
            for thing in run.things:
                with suppress(EngineError), translate_errors(client.host):
                    if _remove(client, run, thing):
                        run.forget(thing)
            left = list(map(str, run.things))
            run.close()
            if left:
                left_behind.extend(left)
                with suppress(OSError):  # Nobody may be there to read it.
                    what = "could not be removed now; the next command of this project tries again"
                    reporter.warn(Notice("leftover", f"{', '.join(left)} {what}"))


def remove_leftovers(client: EngineClient, records: Path, reporter: Reporter) -> list[str]:
    """Remove what runs of this project that are gone have left on this engine and among the records.

    Args:
        client: the engine.
        records: folder of the project's records.
        reporter: announces each removal.

    Returns:
        What was removed, such as `container NAME`.
    """
    removed = []
    for run in gone_runs(records):
        for thing in run.things:
            if thing.kind != "folder" and run.host != client.host:
                continue
            # An engine in trouble keeps no command from starting; what stays noted is tried again.
            with suppress(EngineError), translate_errors(client.host):
                if _exists(client, run, thing):
                    if not reporter.effect(_command(client, run, thing)) or not _remove(client, run, thing):
                        continue
                    removed.append(str(thing))
                run.forget(thing)
    return removed


def _command(client: EngineClient, run: Run, thing: Thing) -> list[str]:
    """Return the command that removes *thing*."""
    if thing.kind == "folder":
        return ["rm", "-r", str(run.records / thing.name)]
    if thing.kind == "container":
        return client.docker_command("rm", "--force", "--volumes", thing.name)
    return client.docker_command("rmi", thing.name)


def _exists(client: EngineClient, run: Run, thing: Thing) -> bool:
    """Return whether *thing* is still there, and an image reference still means the image that the run gave it to."""
    if thing.kind == "folder":
        return os.path.lexists(run.records / thing.name)
    if thing.kind == "container":
        return client.inspect_container(thing.name) is not None
    image = client.inspect_image(thing.name)
    return image is not None and thing.image_id in {"", str(image["Id"])}


def _remove(client: EngineClient, run: Run, thing: Thing) -> bool:
    """Remove *thing*; return whether it is gone."""
    if thing.kind == "folder":
        return remove_folder(run.records, thing)
    if thing.kind == "container":
        return client.remove_container(thing.name)
    is_ours = not thing.image_id or _exists(client, run, thing)
    return (is_ours and client.remove_image(thing.name)) or not _exists(client, run, thing)
