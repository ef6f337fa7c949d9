"""The main job from beginning to end on `example_project`, as a user runs it."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import ExitStack, closing

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
            apt.say(f"the registry is {destination.host}, for this demo alone")
            folder = venv.CHECKOUT / "example_project"
            words = ["invoke", "image.release", *base, "--registry", destination.host]
            apt.say(f"in {folder.name}:")
            return command.run([sys.executable, "-m", *words], folder=folder, shown=words)


def play(*, acr: bool = False) -> None:
    """Keep an engine, a stand-in base and a registry until Ctrl-C, and say how to use them.

    Args:
        acr: whether the registry is a loopback of Azure's, with all that a build there needs.
    """
    with engine() as host, closing(docker.from_env(timeout=600)) as client, ExitStack() as stack:
        base = bases.ensure(client, "amlenv")
        settings = {"DOCKER_HOST": host, "INVOKE_AZUREML_IMAGE_BASE": base}
        if acr:
            from tests.machine.acr import loopback  # needed here alone

            azure = stack.enter_context(loopback.running(host))
            settings |= {**azure.environment(), "INVOKE_AZUREML_IMAGE_ENGINE": "acr"}
            destination = azure.login_server
        else:
            destination = stack.enter_context(registry()).host
        apt.say("ready; in another shell, where your project is:")
        for name, value in {**settings, "INVOKE_AZUREML_IMAGE_REGISTRY": destination}.items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.write("invoke image.release\n")
        sys.stdout.flush()
        apt.say(f"in the README's docker run, write {destination} in place of contoso.azurecr.io")
        apt.say("leave out its az commands: nothing here needs a sign-in, and az does not know this registry")
        apt.say("Ctrl-C stops what was started")
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
