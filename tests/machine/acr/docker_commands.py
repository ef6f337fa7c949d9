"""The docker commands of steps, concatenated as the agent does, for a shell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.machine.acr.task_file import Step

__all__ = ["BUILDKIT", "StepEnvironment", "build", "docker_run", "inside"]

BUILDKIT = "DOCKER_BUILDKIT=1"


@dataclass(frozen=True, kw_only=True)
class StepEnvironment:
    """The environment that the agent gives to a step's container.

    Args:
        label: by which the run's containers are found again.
        name: the container's.
        network: the run's own; empty for none.
        volumes: folder or file on this machine -> where the container sees it.
    """

    label: str
    name: str
    network: str
    volumes: Mapping[Path, str]


def build(step: Step, volumes: Mapping[str, Path], own: str) -> str:
    """Return the command of a build step; without BuildKit unless the step's variables enable it.

    Args:
        step: the step.
        volumes: volume -> folder on this machine.
        own: options that the step does not know of.
    """
    env = " ".join([*step.env, *([] if BUILDKIT in step.env else ["DOCKER_BUILDKIT=0"])])
    text = step.build
    for name, path in step.mounts.items():
        # Docker's command line runs on this machine, not in a container that has the volume at *path*.
        text = text.replace(f"{path.rstrip('/')}/", f"{volumes[name]}/")
    return f"env {env} docker build {own} {text}"


def docker_run(step: Step, around: StepEnvironment) -> str:
    """Return the command of a cmd step; the agent has an image with the docker client, named `docker`."""
    image, _, rest = step.cmd.partition(" ")
    if image == "docker":
        return f"docker {rest}"
    words = ["docker run", *_flags(step), f"--label {around.label}"]
    network = step.words.get("network") or around.network
    words += [f"--network {network}"] if network else []
    # Where the engine has another container of this name, the step is found by it all the same.
    words += [f"--network-alias {step.id}"] if network and network == around.network else []
    words += [f"--entrypoint {step.words['entryPoint']}"] if "entryPoint" in step.words else []
    words += [f"--name {around.name}"]
    words += [f"--volume {source}:{target}" for source, target in around.volumes.items()]
    words += ["--env HOME=/acb/home", *(f"--env {line}" for line in step.env)]
    if "disableWorkingDirectoryOverride" not in step.options:
        words += [f"--workdir {inside(step.words.get('workingDirectory', ''))}"]
    return " ".join([*words, step.cmd])


def inside(folder: str) -> str:
    """Return a step's working directory in its container."""
    return os.path.normpath(os.path.join("/workspace", folder))  # noqa: PTH118 -- no path of this machine


def _flags(step: Step) -> list[str]:
    words = [] if "keep" in step.options else ["--rm"]
    words += ["--detach"] if "detach" in step.options else []
    words += [f"-p {port}" for port in step.ports] + [f"--expose {port}" for port in step.expose]
    words += ["--privileged"] if "privileged" in step.options else []
    words += [f"--user {step.words['user']}"] if "user" in step.words else []
    return words
