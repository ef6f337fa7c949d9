"""Which Docker engine is meant, resolved once and the way the docker CLI does it."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azureml_tasks.errors import EngineError
from azureml_tasks.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

__all__ = ["Endpoint", "answering", "connect"]

_ANSWER = 10  # seconds, for an engine to say who it is
_WORK = 600  # seconds without a word from one that is at work
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An engine that answers.

    Args:
        client: the SDK's client for it.
        context: the docker context's name; `default` where DOCKER_HOST names the engine.
        host: its address, such as `unix:///var/run/docker.sock`.
        version: of the engine.
        is_podman: whether Podman speaks Docker's protocol here.
    """

    client: docker.DockerClient
    context: str
    host: str
    version: str
    is_podman: bool

    @property
    def is_here(self) -> bool:
        """Whether it may run on this machine: its socket is a file here, or its address a loopback one."""
        parts = urlsplit(self.host)
        return parts.scheme in {"unix", "http+unix", "npipe"} or (parts.hostname or "") in _LOOPBACK

    def docker(self, *arguments: str) -> list[str]:
        """The docker command with *arguments* for this very engine."""
        chosen = [] if os.environ.get("DOCKER_HOST") else ["--context", self.context]
        return ["docker", *([] if chosen == ["--context", "default"] else chosen), *arguments]


def connect() -> Endpoint:
    """Find the engine that `docker` would use (DOCKER_HOST, DOCKER_CONTEXT, the current context) and ask it who it is.

    Raises:
        EngineError: there is none, it does not answer, or it does not let this user in.
    """
    import docker
    from docker.context.config import get_current_context_name
    from docker.errors import DockerException

    environment = os.environ.get("DOCKER_HOST"), os.environ.get("DOCKER_CONTEXT")
    context = "default" if environment[0] else environment[1] or get_current_context_name()
    host = environment[0] or ""
    try:
        host = host or _host_of(context)
        client = docker.from_env(version="auto", timeout=_ANSWER)
        about: dict[str, Any] = client.version()
        client.api.timeout = _WORK
    except (DockerException, OSError, ValueError, TypeError, KeyError) as error:
        raise _unreachable(context, host, error) from error
    components = " ".join(component.get("Name", "") for component in about.get("Components") or [])
    return Endpoint(
        client=client,
        context=context,
        host=host,
        version=str(about.get("Version", "")),
        is_podman="podman" in components.lower(),
    )


@contextmanager
def answering(endpoint: Endpoint) -> Iterator[None]:
    """Run a block that asks the engine; where it refuses what nobody expected, or goes away, say so.

    Raises:
        EngineError: with what the engine, or the way to it, said.
    """
    from docker.errors import APIError, DockerException
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        what = f"The engine at {endpoint.host} refused a request."
        said = f"docker said: {clean(str(error.explanation or error))}"
        raise EngineError(what, next_step="Look at what it said.", said=said) from error
    except (DockerException, RequestException, HTTPError) as error:
        what = f"The engine at {endpoint.host} stopped answering."
        fix = "Look whether it still runs: docker version"
        raise EngineError(what, next_step=fix, said=f"docker's SDK said: {clean(str(error))}") from error


def _host_of(context: str) -> str:
    from docker.context import ContextAPI

    try:
        found = ContextAPI.get_context(context)
    except Exception as error:  # The SDK raises no narrower one for a context it cannot read
        fix = f"docker context rm {context}\nthen make it anew"
        raise EngineError(f'The docker context "{context}" cannot be read: {error}', next_step=fix) from error
    if found is None:
        fix = "docker context ls\nthen: docker context use NAME"
        raise EngineError(f'The docker context "{context}" does not exist.', next_step=fix)
    return str(found.Host or "unix:///var/run/docker.sock").replace("http+unix://", "unix://")


def _unreachable(context: str, host: str, error: Exception) -> EngineError:
    said = f"docker's SDK said: {clean(str(error))}"
    where = f'context "{context}", {host or "no address"}'
    if os.environ.get("DOCKER_HOST") and re.search(
        r"Invalid bind address|Bind address|unsupported|not supported", str(error)
    ):
        fix = "unset DOCKER_HOST\nor: export DOCKER_HOST=unix:///var/run/docker.sock"
        return EngineError(
            f'DOCKER_HOST is "{host}", which is no address of an engine.', next_step=fix, said=said
        )
    if _caused_by(error, PermissionError):
        fix = (
            "sudo usermod -aG docker $USER\nthen sign in again; or run this as a user who may use the socket"
        )
        return EngineError(f"Docker's engine does not let you in ({where}).", next_step=fix, said=said)
    if _caused_by(error, FileNotFoundError) and not _installed():
        fix = "On Debian and Ubuntu: sudo apt-get install docker.io\nor see https://docs.docker.com/engine/install/"
        return EngineError(f"There is no Docker engine here ({where}).", next_step=fix, said=said)
    fix = "Start it: open Docker Desktop, or on Linux: sudo systemctl start docker"
    return EngineError(f"Docker's engine does not answer ({where}).", next_step=fix, said=said)


def _caused_by(error: BaseException | None, kind: type[OSError]) -> bool:
    """Whether *kind* stands anywhere in the chain, or in the arguments that requests and urllib3 pack it into."""
    seen: list[Any] = [error]
    for found in seen:
        if isinstance(found, kind):
            return True
        if isinstance(found, BaseException):
            inner = (*found.args, found.__cause__, found.__context__, getattr(found, "reason", None))
            seen += [
                part for part in inner if isinstance(part, BaseException) and not any(part is s for s in seen)
            ]
    return False


def _installed() -> bool:
    from shutil import which

    return bool(which("dockerd") or which("docker"))
