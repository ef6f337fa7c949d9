"""Starting a container of an image on a Docker engine, so that it never outlives its block."""

from __future__ import annotations

import uuid
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.engines.container import PORT, DockerContainer
from azureml_tasks.engines.finishing import to_its_end
from azureml_tasks.errors import EngineError
from azureml_tasks.inside import stand_in
from azureml_tasks.planning import APP_ROOT, MODEL_DIR, Proof
from azureml_tasks.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.engines.endpoint import Endpoint
    from azureml_tasks.engines.images import Image

__all__ = ["LABEL", "new_name", "running", "start_commands"]

LABEL = "azureml-tasks.smoke-test"
_STAND_IN = Path(stand_in.__file__)


def start_commands(
    endpoint: Endpoint, image: Image, proof: Proof, repository: str, name: str
) -> list[list[str]]:
    """The docker commands that start the same container."""
    options = ["--name", name, "--label", f"{LABEL}=1", "--publish", "127.0.0.1::5001"]
    options += ["--memory", proof.memory] if proof.memory else []
    options += [
        part for key, value in _environment(proof, repository).items() for part in ("--env", f"{key}={value}")
    ]
    if proof.model:
        options += ["--mount", f"type=bind,readonly,source={proof.model},target={_model_target(repository)}"]
    options += [image.id or image.names[0]]
    if not proof.stand_in:
        return [endpoint.docker("run", "--detach", *options)]
    copied = endpoint.docker("cp", str(_STAND_IN), f"{name}:{APP_ROOT}/{_STAND_IN.name}")
    return [endpoint.docker("create", *options), copied, endpoint.docker("start", name)]


def _model_target(repository: str) -> str:
    """Where Azure ML mounts version 1 of a model of this name."""
    return f"{MODEL_DIR}/{repository.rpartition('/')[2]}/1"


def _environment(proof: Proof, repository: str) -> dict[str, str]:
    mounted = {"AZUREML_MODEL_DIR": _model_target(repository)} if proof.model else {}
    entry = {"AZUREML_ENTRY_SCRIPT": _STAND_IN.name} if proof.stand_in else {}
    return {**mounted, **entry, **proof.env}


@contextmanager
def running(
    endpoint: Endpoint, image: Image, proof: Proof, repository: str, name: str
) -> Iterator[DockerContainer]:
    """Start *image*; its container is removed when the block ends, also by Ctrl-C or SIGTERM.

    Raises:
        EngineError: the engine cannot start it.
    """
    from docker.errors import APIError, NotFound
    from docker.types import Mount

    target = _model_target(repository)
    containers = endpoint.client.containers
    create = partial(
        containers.create,
        image.id,
        name=name,
        labels={LABEL: "1"},
        ports={PORT: ("127.0.0.1", 0)},  # 0: any free port
        environment=_environment(proof, repository),
        mounts=[Mount(target, proof.model, type="bind", read_only=True)] if proof.model else [],
        mem_limit=proof.memory or None,
    )
    try:
        try:
            container = DockerContainer(container=to_its_end(create), endpoint=endpoint)
            if proof.stand_in:
                container.put(APP_ROOT, {_STAND_IN.name: _STAND_IN.read_bytes()})
            container.container.start()
        except APIError as error:
            raise _cannot_start(endpoint, proof, str(error.explanation or error)) from error
        yield container
    finally:
        with suppress(NotFound):
            containers.get(name).remove(force=True, v=True)


def new_name() -> str:
    """A container's name that nothing else has."""
    return f"azureml-image-{uuid.uuid4().hex[:12]}"


def _cannot_start(endpoint: Endpoint, proof: Proof, said: str) -> EngineError:
    words = f"docker said: {clean(said)}"
    if proof.model and ("bind source path does not exist" in said or "invalid mount config" in said):
        fix = 'Run the smoke test where the engine runs, or bake the model in: model = "…"'
        return EngineError(
            f"The engine at {endpoint.host} cannot see {proof.model}, so it cannot mount the model.",
            next_step=fix,
            said=words,
        )
    return EngineError("The engine could not run the image.", next_step="Look at what it said.", said=words)
