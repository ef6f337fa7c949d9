"""The main job from beginning to end on `example_project`, as a user runs it."""

from __future__ import annotations

import signal
import sys
from contextlib import closing

import docker

from tests.machine import apt, bases, command, venv
from tests.machine.engine import engine
from tests.machine.registry import registry

__all__ = ["play", "run"]


def run() -> int:
    """Release `example_project` into a registry on this machine; returns the exit code of `image.release`."""
    with engine() as host, closing(docker.from_env(timeout=600)) as client:
        apt.say(f"the engine is {client.version()['Version']} at {host}")
        base = _base(client)
        with registry() as destination:
            apt.say(f"the registry is {destination.host}, for the length of this demo")
            folder = venv.CHECKOUT / "example_project"
            words = ["invoke", "image.release", *base, "--registry", destination.host]
            apt.say(f"in {folder.name}:")
            return command.run([sys.executable, "-m", *words], folder=folder, shown=words)


def play() -> None:
    """Keep an engine, a stand-in base and a registry until Ctrl-C, and say how to use them."""
    with engine() as host, closing(docker.from_env(timeout=600)) as client, registry() as destination:
        base = bases.ensure(client, "amlenv")
        apt.say("ready; in another shell, where your project is:")
        sys.stdout.write(f"export DOCKER_HOST={host}\n")
        sys.stdout.write(f"invoke image.release --base {base} --registry {destination.host}\n")
        sys.stdout.flush()
        apt.say("Ctrl-C ends both")
        signal.pause()


def _base(client: docker.DockerClient) -> list[str]:
    if bases.mcr_answers():
        apt.say("the base is Microsoft's, as example_project names it")
        return []
    apt.say(
        "mcr.microsoft.com cannot be reached from here, so Microsoft's base image is NOT used; the base is a "
        "stand-in with the same layout and the real azureml-inference-server-http"
    )
    return ["--base", bases.ensure(client, "amlenv")]
