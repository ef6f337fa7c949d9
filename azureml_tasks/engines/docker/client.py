"""Which Docker engine is meant, resolved once and the way the docker CLI does it."""

from __future__ import annotations

import json
import os
import re
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from azureml_tasks.engines.docker.socket_http import (
    CREATED,
    NOT_FOUND,
    OK,
    ask,
    greeting,
    image_path,
    plain_host,
)
from azureml_tasks.errors import EngineError

if TYPE_CHECKING:
    import docker

__all__ = ["EngineClient", "connect"]

_ANSWER, _WORK = 10, 600  # seconds: for an engine to say who it is; without a word from one that is at work
_SERVER = r"(?P<kind>Docker|Libpod)/(?P<version>\S+) \("
"""How Docker's engine and Podman's service name themselves in the header Server: `Docker/20.10.24 (linux)`."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, kw_only=True)
class EngineClient:
    """An engine that answers.

    Args:
        context: the docker context's name; `default` where DOCKER_HOST names the engine.
        host: its address, such as `unix:///var/run/docker.sock`.
        version: of the engine.
        api: version of its API, such as `1.41`; "" where the SDK alone speaks to it.
        is_podman: whether Podman speaks Docker's protocol here.
        has_buildkit: whether its BuildKit can be asked without docker's client, see `api_build`.
    """

    context: str
    host: str
    version: str
    is_podman: bool
    api: str = ""
    has_buildkit: bool = False

    @cached_property
    def sdk(self) -> docker.DockerClient:
        """The client of Docker's SDK, created at its first use because its import takes 0.1 s."""
        return _sdk_client(timeout=_WORK)

    @property
    def is_local(self) -> bool:
        """Whether it may run on this machine: its socket is a file here, or its address a loopback one."""
        parts = urlsplit(self.host)
        return parts.scheme in {"unix", "http+unix", "npipe"} or (parts.hostname or "") in _LOOPBACK

    def docker_command(self, *arguments: str) -> list[str]:
        """The docker command with *arguments* for this very engine."""
        chosen = [] if os.environ.get("DOCKER_HOST") else ["--context", self.context]
        return ["docker", *([] if chosen == ["--context", "default"] else chosen), *arguments]

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """What the engine says of an image, as its API puts it; None where it has none of that name or id.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageInspect
        """
        answer = ask(self.host, f"/v{self.api}{image_path(reference)}/json") if self.api else None
        if answer and answer[0] == OK:
            return dict(answer[1])
        if answer and answer[0] == NOT_FOUND:
            return None
        from docker.errors import ImageNotFound

        try:
            return dict(self.sdk.images.get(reference).attrs)
        except ImageNotFound:
            return None

    def inspect_images(self, repository: str) -> list[dict[str, Any]]:
        """What the engine says of each image that has a name in *repository*, see `inspect_image`.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageList
        """
        query = urlencode({"filters": json.dumps({"reference": [repository]})})
        answer = ask(self.host, f"/v{self.api}/images/json?{query}") if self.api else None
        if not answer or answer[0] != OK:
            return [dict(found.attrs) for found in self.sdk.images.list(name=repository)]
        return [image for one in answer[1] if (image := self.inspect_image(str(one["Id"])))]

    def remove_image(self, name: str) -> bool:
        """Remove a name, and with it what nothing else stands on; whether the engine did so.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageDelete
        """
        path = f"/v{self.api}{image_path(name)}"
        if self.api and (answer := ask(self.host, path, method="DELETE", seconds=_WORK)):
            return answer[0] == OK
        from docker.errors import APIError

        with suppress(APIError):
            self.sdk.images.remove(name)
            return True
        return False

    def tag_image(self, image_id: str, name: str) -> None:
        """Give an image the name `repository:tag`, taking it from the one that has it."""
        repository, _, tag = name.rpartition(":")
        query = urlencode({"repo": repository, "tag": tag})
        path = f"/v{self.api}{image_path(image_id)}/tag?{query}"
        answer = ask(self.host, path, method="POST") if self.api else None
        if not answer or answer[0] != CREATED:
            self.sdk.api.tag(image_id, repository, tag)


def connect() -> EngineClient:
    """Find the engine that `docker` would use (DOCKER_HOST, DOCKER_CONTEXT, the current context) and ask it who it is.

    Raises:
        EngineError: there is none, it does not answer, or it does not let this user in.
    """
    context, host = plain_host()
    greeted = greeting(host)
    server, api = re.match(_SERVER, greeted.get("server", "")), greeted.get("api-version", "")
    if server and api:
        return EngineClient(
            context=context,
            host=host,
            version=server["version"],
            is_podman=server["kind"] == "Libpod",
            api=api,
            has_buildkit=server["kind"] == "Docker"
            and greeted.get("ostype") == "linux"
            and _is_from_20_10(api),
        )
    answer = ask(host, "/version")  # Something on the way to it, a proxy say, may greet otherwise.
    if answer and answer[0] == OK and isinstance(answer[1], dict):
        return _engine_client(context, host, answer[1], api=str(answer[1].get("ApiVersion", "")))
    return _by_the_sdk()


def _by_the_sdk() -> EngineClient:
    """The same by the SDK, which knows every way to an engine, and says best what is wrong with one."""
    from docker.context.config import get_current_context_name
    from docker.errors import DockerException

    host, named = os.environ.get("DOCKER_HOST", ""), os.environ.get("DOCKER_CONTEXT")
    context = "default" if host else named or get_current_context_name()
    try:
        host = host or _host_of(context)
        with closing(_sdk_client(timeout=_ANSWER)) as client:
            about: dict[str, Any] = client.version()
    except (DockerException, OSError, ValueError, TypeError, KeyError) as error:
        from azureml_tasks.engines.docker.unreachable import unreachable

        raise unreachable(context, host, error) from error
    return _engine_client(context, host, about, api="")


def _sdk_client(*, timeout: int) -> docker.DockerClient:
    import docker

    return docker.from_env(version="auto", timeout=timeout)


def _engine_client(context: str, host: str, about: dict[str, Any], *, api: str) -> EngineClient:
    components = " ".join(component.get("Name", "") for component in about.get("Components") or [])
    return EngineClient(
        context=context,
        host=host,
        version=str(about.get("Version", "")),
        is_podman="podman" in components.lower(),
        api=api,
    )


def _is_from_20_10(api: str) -> bool:
    """Whether an engine with this *api* has a BuildKit that takes a context as a part of the question, as 20.10 has.

    https://docs.docker.com/reference/api/engine/#api-version-matrix
    """
    return [int(part) for part in re.findall(r"\d+", api)] >= [1, 41]


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
