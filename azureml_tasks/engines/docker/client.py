"""The engine's API: plain HTTP at a Unix socket, Docker's SDK for every other address and for pull, push and run."""

from __future__ import annotations

import json
import os
import re
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from azureml_tasks.engines.docker import socket_http
from azureml_tasks.engines.docker.api_errors import unreachable_error
from azureml_tasks.engines.docker.docker_context import current_context
from azureml_tasks.engines.docker.socket_http import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import docker

_ANSWER_TIMEOUT, _WORK_TIMEOUT = 10, 600
"""Seconds without a byte of the answer: for a question, and for work such as a build."""
_SERVER = r"(?P<kind>Docker|Libpod)/(?P<version>\S+) \("
"""The header Server of Docker's engine and of Podman's service, such as `Docker/20.10.24 (linux)`."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_BUILDKIT_API = [1, 41]
"""The API version of Docker 20.10, whose BuildKit takes a build context in the body of the request."""


@dataclass(frozen=True, kw_only=True)
class EngineClient:
    """A Docker engine, or a Podman service, that answers.

    Args:
        context: name of the docker context; `default` if DOCKER_HOST names the engine.
        host: its address, such as `unix:///var/run/docker.sock`.
        version: of the engine.
        api: version of its API, such as `1.41`.
        is_podman: whether it is Podman.
        has_buildkit: whether its API builds with BuildKit, see `api_build`.
    """

    context: str
    host: str
    version: str
    api: str
    is_podman: bool = False
    has_buildkit: bool = False

    @cached_property
    def sdk(self) -> docker.DockerClient:
        """The client of Docker's SDK, created at its first use because its import takes 0.1 s."""
        return _sdk_client(timeout=_WORK_TIMEOUT)

    @property
    def is_local(self) -> bool:
        """Whether the engine runs on this machine: its address is a socket, a named pipe or a loopback address."""
        parts = urlsplit(self.host)
        return parts.scheme in {"unix", "npipe"} or (parts.hostname or "") in _LOOPBACK

    def docker_command(self, *arguments: str) -> list[str]:
        """Return the docker command with *arguments* for this engine."""
        named = self.context != "default" and not os.environ.get("DOCKER_HOST")
        return ["docker", *(["--context", self.context] if named else []), *arguments]

    def read_id(self) -> str:
        """Return the engine's own ID, which takes it 0.1 s to answer; for Podman, whose ID is random, its address.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemInfo
        """
        if self.is_podman:
            return self.host
        return str(_success(*self._request("GET", "/info")).get("ID") or self.host)

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image, by reference or ID; None if it does not have it.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageInspect
        """
        status, answer = self._request("GET", f"{_image_path(reference)}/json")
        return None if status == HTTPStatus.NOT_FOUND else dict(_parsed(status, answer))

    def inspect_images(self, repository: str) -> list[dict[str, Any]]:
        """Return what the engine knows of each image that has a tag in *repository*.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageList
        """
        query = urlencode({"filters": json.dumps({"reference": [repository]})})
        images = _parsed(*self._request("GET", f"/images/json?{query}"))
        # Another process may remove one meanwhile.
        return [details for each in images if (details := self.inspect_image(str(each["Id"])))]

    def tag_image(self, image_id: str, reference: str) -> None:
        """Give an image the tag *reference*, `repository:tag`, which moves if another image has it.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageTag
        """
        repository, _, tag = reference.rpartition(":")
        query = urlencode({"repo": repository, "tag": tag})
        _success(*self._request("POST", f"{_image_path(image_id)}/tag?{query}"))

    def remove_image(self, reference: str) -> bool:
        """Remove a tag, and the image with its last tag; return False if the engine refuses, as for one in use.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageDelete
        """
        status, _ = self._request("DELETE", _image_path(reference), timeout=_WORK_TIMEOUT)
        return status == HTTPStatus.OK

    def send_archive(self, path: str, archive: Iterable[bytes]) -> Iterator[bytes]:
        """Post a tar archive to *path* of the API and yield each line of the answer as it arrives.

        Raises:
            RefusedError: the engine refuses the request.
        """
        path = f"/v{self.api}{path}"
        if socket_http.is_socket(self.host):
            yield from socket_http.send_archive(self.host, path, archive, timeout=_WORK_TIMEOUT)
            return
        headers, url = {"Content-Type": "application/x-tar"}, f"{self.sdk.api.base_url}{path}"
        with self.sdk.api.post(
            url, data=archive, headers=headers, stream=True, timeout=_WORK_TIMEOUT
        ) as response:
            if response.status_code != HTTPStatus.OK:
                raise refusal(response.status_code, response.content)
            yield from (line for line in response.iter_lines() if line.strip())

    def _request(self, method: str, path: str, *, timeout: float = _ANSWER_TIMEOUT) -> tuple[int, Any]:
        """Return the status of an answer, and its JSON or its bytes."""
        path = f"/v{self.api}{path}"
        if socket_http.is_socket(self.host):
            status, _, body = socket_http.request(self.host, method, path, timeout=timeout)
        else:
            response = self.sdk.api.request(method, f"{self.sdk.api.base_url}{path}", timeout=timeout)
            status, body = response.status_code, response.content
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body


def connect() -> EngineClient:
    """Connect to the engine that the docker command would use.

    Raises:
        EngineError: there is none, it does not answer, or its socket does not admit this user.
    """
    context, host = current_context()
    if socket_http.is_socket(host):
        try:
            return _connect_to_socket(context, host)
        except (OSError, HTTPException, ValueError) as error:
            raise unreachable_error(context, host, error) from error
    from docker.errors import DockerException

    try:
        with closing(_sdk_client(timeout=_ANSWER_TIMEOUT)) as sdk:
            return _described(context, host, dict(sdk.version()))
    except (DockerException, OSError, ValueError, TypeError, KeyError) as error:
        raise unreachable_error(context, host, error) from error


def _connect_to_socket(context: str, host: str) -> EngineClient:
    """Ask for a ping, which takes a tenth of the time of `/version`: that runs other programs.

    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemPing
    """
    status, headers, _ = socket_http.request(host, "GET", "/_ping", timeout=_ANSWER_TIMEOUT)
    server, api = re.match(_SERVER, headers.get("Server", "")), headers.get("Api-Version", "")
    if status == HTTPStatus.OK and server and api:
        is_podman = server["kind"] == "Libpod"
        return EngineClient(
            context=context,
            host=host,
            version=server["version"],
            api=api,
            is_podman=is_podman,
            has_buildkit=not is_podman and _has_buildkit(api, headers.get("Ostype", "")),
        )
    # A proxy may have replaced the headers.
    status, _, body = socket_http.request(host, "GET", "/version", timeout=_ANSWER_TIMEOUT)
    if status != HTTPStatus.OK:
        raise HTTPException(f"GET /version was answered with HTTP status {status}")
    return _described(context, host, json.loads(body))


def _described(context: str, host: str, about: Any) -> EngineClient:
    """Return the engine that the answer to `GET /version` describes; ValueError if it describes none."""
    if not isinstance(about, dict) or not about.get("ApiVersion"):
        raise ValueError("the answer to GET /version is not that of an engine")
    components = " ".join(str(component.get("Name", "")) for component in about.get("Components") or [])
    is_podman, api = "podman" in components.lower(), str(about["ApiVersion"])
    return EngineClient(
        context=context,
        host=host,
        version=str(about.get("Version", "")),
        api=api,
        is_podman=is_podman,
        has_buildkit=not is_podman and _has_buildkit(api, str(about.get("Os", ""))),
    )


def _has_buildkit(api: str, system: str) -> bool:
    return system == "linux" and [int(part) for part in re.findall(r"\d+", api)] >= _BUILDKIT_API


def _sdk_client(*, timeout: int) -> docker.DockerClient:
    import docker

    return docker.from_env(version="auto", timeout=timeout)


def _image_path(reference: str) -> str:
    return f"/images/{quote(reference, safe='/:@')}"


def _success(status: int, answer: Any) -> Any:
    """Return the answer to a request that succeeded.

    Raises:
        RefusedError: the status is an error.
    """
    if status >= HTTPStatus.BAD_REQUEST:
        raise refusal(status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    return answer


def _parsed(status: int, answer: Any) -> Any:
    """Return the JSON of an answer to a request that succeeded.

    Raises:
        RefusedError: the status is an error.
        HTTPException: the answer is not JSON.
    """
    if isinstance(_success(status, answer), bytes):
        raise HTTPException("the answer is not JSON")
    return answer
