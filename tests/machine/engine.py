"""A Docker engine to work with: the one that answers, or one of our own that leaves with us."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
from docker.context import ContextAPI
from docker.errors import DockerException

from tests.machine import apt, bridge, own_engine

__all__ = ["DATA", "answering", "engine", "name_of"]

DATA = Path(__file__).parents[2] / ".machine" / "docker"
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_ANSWER_SECONDS = 120
"""Seconds for an answer: an engine that is busy shall not be taken for none."""
_SERVICE_SECONDS = 20.0


@contextmanager
def engine(*, data: Path = DATA) -> Iterator[str]:
    """Yield the DOCKER_HOST of an engine; one that has to be started is stopped on the way out.

    The engine that the environment points at is used as it is. Where none answers, on Debian or Ubuntu and
    as root, one is installed and started with a socket of its own, to which DOCKER_HOST points meanwhile.

    Args:
        data: where an own engine keeps its images, so that the next one is warm.

    Raises:
        NotPossibleError: none answers, and none can be started here.
    """
    docker_host = answering() or _installed()
    if docker_host:
        yield docker_host
        return
    addresses = (
        bridge.own_addresses()
    )  # Two engines with the same ones would answer for each other's containers.
    options = ["--fixed-cidr", str(addresses)] if addresses else []
    with own_engine.running(data, options=options) as host, _pointing_at(host):
        yield host


def answering() -> str | None:
    """The engine that DOCKER_HOST, else the current context, else the default socket names, if it answers."""
    try:
        with closing(docker.from_env(timeout=_ANSWER_SECONDS)) as client:
            client.ping()
        named = os.environ.get("DOCKER_HOST") or ContextAPI.kwargs_from_context().get("base_url")
    except (DockerException, OSError):
        return None
    return str(named or _DEFAULT_HOST)


def name_of(client: docker.DockerClient) -> str:
    """Such as "Docker 26.1.5, images in containerd" or "Podman 4.3.1", for people."""
    version, about = client.version(), client.info()
    names = [str(part["Name"]) for part in version.get("Components") or ()]
    name = "Podman" if any("Podman" in each for each in names) else "Docker"
    in_containerd = any("containerd.snapshotter" in value for _, value in about.get("DriverStatus") or ())
    return f"{name} {version['Version']}, {'images in containerd' if in_containerd else about['Driver']}"


def _installed() -> str | None:
    """Install an engine; where a service manager starts it by that, the one that then answers."""
    where = os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT") or "the default socket"
    apt.say(f"no Docker engine answers at {where}")
    if not apt.is_debian() or os.geteuid() != 0:
        raise apt.NotPossibleError(
            "No Docker engine answers, and one is started here only as root on Debian or Ubuntu: start yours."
        )
    new = apt.need({"dockerd": "docker.io", "iptables": "iptables"}, why="a Docker engine")
    if not new or not Path("/run/systemd/system").exists():
        return None
    return _first(answering, seconds=_SERVICE_SECONDS)


def _first(ask: Callable[[], str | None], *, seconds: float) -> str | None:
    end = time.monotonic() + seconds
    while (answer := ask()) is None and time.monotonic() < end:
        time.sleep(0.2)  # A service tells nobody that it is ready; it can only be asked.
    return answer


@contextmanager
def _pointing_at(host: str) -> Iterator[None]:
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = host
    try:
        yield
    finally:
        os.environ.pop("DOCKER_HOST")
        if before is not None:
            os.environ["DOCKER_HOST"] = before
