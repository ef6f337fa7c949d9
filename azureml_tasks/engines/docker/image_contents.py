"""What an image is made of: its steps, and its files and packages as a container of it lists them."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from importlib import resources
from threading import Timer
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.api_errors import reading_answers, translate_errors
from azureml_tasks.engines.docker.container import printed_blocks
from azureml_tasks.engines.docker.leftovers import LABEL, container_name, tracked_run
from azureml_tasks.engines.finish_call import finish_call
from azureml_tasks.plain_text import one_line, shell_join
from azureml_tasks.report.contents import Listing
from azureml_tasks.report.layers import EngineImage, Layer
from azureml_tasks.smoke.container_protocol import FIND_PYTHON
from azureml_tasks.state.runs import Thing
from azureml_tasks.timestamps import epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.engine import DockerEngine

_SCRIPT = "in_image/list_contents.py"
_LONGEST = 64 * 1024 * 1024
"""Bytes of a list that are read; fifty thousand files take about five million."""
_TIMEOUT = 600
"""Seconds until a container that lists files is killed."""
_MEMORY = "2g"
"""Far more than the list of a million files takes."""
_PROCESSES = 64
_KILLED = 137
"""The exit code of a container that was killed, also for its memory."""


def read_image(client: EngineClient, reference: str) -> EngineImage | None:
    """Return what the engine knows of the image *reference*; None if it does not have it.

    Raises:
        EngineError: the engine does not answer.
    """
    with translate_errors(client.host):
        image = client.inspect_image(reference)
        if not image:
            return None
        steps = [
            Layer(max(0, step["Created"]), step["CreatedBy"], max(0, step["Size"]))
            for step in client.read_history(str(image["Id"]))
        ]
    layers = tuple(reversed(steps))
    size = sum(layer.size for layer in layers)
    return EngineImage(created_at=epoch_seconds(image["Created"]), size=size, layers=layers)


def list_contents(engine: DockerEngine, image_id: str) -> Listing:
    """Let a container of the image list its files and packages.

    It has no network, cannot write, and is limited in memory, processes and time: its base may be anybody's. It runs as
    root, which can look into each folder, and is removed.

    Args:
        engine: that has the image.
        image_id: its ID.

    Raises:
        EngineError: the engine does not answer.
    """
    client = engine.client
    if not _announced(engine, image_id):
        return Listing("")
    script = resources.files("azureml_tasks").joinpath(_SCRIPT).read_text(encoding="utf-8")
    with (
        translate_errors(client.host),
        tracked_run(client, engine.folder, engine.reporter) as run,
    ):
        name = container_name(run)
        run.note(Thing("container", name))
        create = partial(
            client.sdk.containers.create,
            image_id,
            name=name,
            labels={LABEL: run.id},
            entrypoint=["/bin/sh"],
            command=["-c", f'exec "{FIND_PYTHON}" -I -B -c "$1"', "sh", script],
            user="0",
            network_mode="none",
            mem_limit=_MEMORY,
            pids_limit=_PROCESSES,
            read_only=True,
            use_config_proxy=False,
        )
        with reading_answers():
            container = finish_call(create)
        return _run(client, str(container.id))


def _run(client: EngineClient, container_id: str) -> Listing:
    """Start the container and return what it prints until it ends."""
    from docker.errors import APIError

    api = client.sdk.api
    try:
        api.start(container_id)
    except APIError as error:  # Such as of an image without a shell, or for another platform.
        return Listing(
            "", f"a container of the image does not start: {one_line(str(error.explanation or error))}"
        )
    with _killed_after(_TIMEOUT, client, container_id):
        output = bytearray()
        for block in printed_blocks(client, container_id, 2 * _TIMEOUT, stderr=False):
            output += block
            if len(output) > _LONGEST:
                return Listing("", f"its list is longer than {_LONGEST >> 20} MiB")
        with reading_answers():
            code = int(api.wait(container_id)["StatusCode"])
    if code == _KILLED:
        return Listing("", f"listing them takes more than {_TIMEOUT} s, or more memory than {_MEMORY}")
    if code:
        return Listing("", f"the image has no Python that can list them (exit code {code})")
    return Listing(output.decode(errors="replace"))


@contextmanager
def _killed_after(seconds: float, client: EngineClient, container_id: str) -> Iterator[None]:
    """Kill the container if the block takes longer, which then reads the end of what it has printed."""

    def kill() -> None:
        with suppress(Exception):  # It may have ended just now, and is removed in any case.
            client.sdk.api.kill(container_id)

    timer = Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _announced(engine: DockerEngine, image_id: str) -> bool:
    """Announce the command that does the same. Return False if it must not be carried out."""
    options = ["--rm", "--interactive", "--network", "none", "--read-only", "--user", "0"]
    options += ["--memory", _MEMORY, "--pids-limit", str(_PROCESSES)]
    command = ["--entrypoint", "/bin/sh", image_id, "-c", f'exec "{FIND_PYTHON}" -I -B -']
    script = str(resources.files("azureml_tasks").joinpath(_SCRIPT))
    argv = engine.client.docker_command("run", *options, *command)
    return engine.reporter.effect(argv, after=f" < {shell_join([script])}")
