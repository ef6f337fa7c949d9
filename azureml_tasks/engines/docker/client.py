"""The engine's API: plain HTTP at a Unix socket, Docker's SDK for every other address and for pull, push and run."""

from __future__ import annotations

import json
import os
import re
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from azureml_tasks.engines.docker import socket_http
from azureml_tasks.engines.docker.answers import container_details, member
from azureml_tasks.engines.docker.api_errors import (
    translate_errors,
    unreachable_by_ssh,
    unreachable_error,
)
from azureml_tasks.engines.docker.docker_config import DockerConfig, read_config
from azureml_tasks.engines.docker.docker_context import Certificates, Endpoint, find_endpoint
from azureml_tasks.engines.docker.image_form import history_of, image_of
from azureml_tasks.engines.docker.socket_http import UnreadableAnswer, refusal
from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import docker

    from azureml_tasks.engines.docker.ssh_bridge import SshBridge

_ANSWER_TIMEOUT, _WORK_TIMEOUT, _SSH_TIMEOUT = 30, 600, 40
"""Seconds without a byte of the answer: for a question, for work such as a build, and for a question by ssh."""
_OLDEST_API = "1.24"
"""The oldest version that Docker's SDK accepts, for the question which version the engine has."""
_REMOVAL_TIMEOUT = 60  # seconds; an engine ends and removes a container in well under one
_SERVER = r"(?P<kind>Docker|Libpod)/(?P<version>\S+) \("
"""The header Server of Docker's engine and of Podman's service, such as `Docker/20.10.24 (linux)`."""
_API = r"[0-9]{1,4}\.[0-9]{1,4}"
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
        certificates: for TLS; None for none.
        config: docker's configuration.
        bridge: the way to an engine by SSH; None for any other.
    """

    context: str
    host: str
    version: str
    api: str
    is_podman: bool = False
    has_buildkit: bool = False
    certificates: Certificates | None = None
    config: DockerConfig = field(default_factory=DockerConfig, compare=False, repr=False)
    bridge: SshBridge | None = field(default=None, compare=False, repr=False)

    @cached_property
    def sdk(self) -> docker.DockerClient:
        """The client of Docker's SDK for this engine, created at its first use because its import takes 0.1 s.

        Raises:
            EngineError: docker's configuration, or a certificate, cannot be used.
        """
        return _sdk_client(self._address, self.certificates, self.api, timeout=_WORK_TIMEOUT)

    @property
    def _address(self) -> str:
        """The address that we connect to."""
        return self.bridge.address if self.bridge else self.host

    @property
    def is_local(self) -> bool:
        """Whether the engine runs on this machine: its address is a socket, a named pipe or a loopback address."""
        parts = urlsplit(self.host)
        return parts.scheme in {"unix", "npipe"} or (parts.hostname or "") in _LOOPBACK

    @property
    def proxies(self) -> dict[str, str]:
        """The proxy variables that docker's configuration gives to builds and containers of this engine."""
        return self.config.proxies(self.host)

    def docker_command(self, *arguments: str) -> list[str]:
        """Return the docker command with *arguments* for this engine."""
        named = self.context != "default" and not os.environ.get("DOCKER_HOST")
        return ["docker", *(["--context", self.context] if named else []), *arguments]

    def confirm_alive(self) -> None:
        """Confirm that the engine still answers, before something is called the failure of anything else.

        Raises:
            EngineError: it does not answer.
        """
        with translate_errors(self.host):
            _success(*self._request("GET", "/_ping"))

    def read_id(self) -> str:
        """Return the engine's own ID, which takes it 0.1 s to answer; for Podman, whose ID is random, its address.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemInfo
        """
        if self.is_podman:
            return self.host
        return str(self.read_info().get("ID") or self.host)

    def read_info(self) -> dict[str, Any]:
        """Return what the engine says of itself and its machine; see `read_id`."""
        return _object(_parsed(*self._request("GET", "/info")))

    def ask_registry(self, reference: str) -> tuple[int, Any]:
        """Let the engine ask the registry of *reference* for the image, without credentials; return status and answer.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Distribution/operation/DistributionInspect
        """
        return self._request("GET", f"/distribution/{quote(reference, safe='/:@')}/json")

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image, by reference or ID; None if it does not have it.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageInspect
        """
        status, answer = self._request("GET", f"{_image_path(reference)}/json")
        return None if status == HTTPStatus.NOT_FOUND else image_of(_parsed(status, answer))

    def list_tags(self) -> list[str]:
        """Return the tags of all images, `repository:tag`; none if the engine refuses to list them.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageList
        """
        status, listed = self._request("GET", "/images/json")
        images = (
            member({"images": listed}, "images", [{"RepoTags": [str]}]) if status == HTTPStatus.OK else []
        )
        return [tag for image in images or [] for tag in image.get("RepoTags") or []]

    def read_history(self, image_id: str) -> list[dict[str, Any]]:
        """Return the steps of an image, the last one first, each with `Created`, `CreatedBy` and `Size`.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageHistory
        """
        return history_of(_parsed(*self._request("GET", f"{_image_path(image_id)}/history")))

    def tag_image(self, image_id: str, reference: str) -> None:
        """Give an image the tag *reference*, `repository:tag`, which moves if another image has it.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageTag
        """
        repository, _, tag = reference.rpartition(":")
        query = urlencode({"repo": repository, "tag": tag})
        path = f"{_image_path(image_id)}/tag?{query}"
        _success(*self._request("POST", path, timeout=_WORK_TIMEOUT))  # It waits for the disk.

    def remove_image(self, reference: str) -> bool:
        """Remove a tag, and the image with its last tag; return False if the engine refuses, as for one in use.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageDelete
        """
        status, _ = self._request("DELETE", _image_path(reference), timeout=_WORK_TIMEOUT)
        return status == HTTPStatus.OK

    def inspect_container(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of a container, by name or ID; None if it does not have it.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerInspect
        """
        status, answer = self._request("GET", f"/containers/{quote(name)}/json")
        return None if status == HTTPStatus.NOT_FOUND else container_details(_parsed(status, answer))

    def remove_container(self, name: str) -> bool:
        """Remove a container with its anonymous volumes, also if it runs; return whether it is gone.

        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerDelete
        """
        path = f"/containers/{quote(name)}"
        status, _ = self._request("DELETE", f"{path}?force=1&v=1", timeout=_REMOVAL_TIMEOUT)
        if status == HTTPStatus.CONFLICT:  # The engine is removing it already.
            status, _ = self._request("POST", f"{path}/wait?condition=removed", timeout=_REMOVAL_TIMEOUT)
        return status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}

    def send_archive(self, path: str, archive: Iterable[bytes]) -> Iterator[bytes]:
        """Post a tar archive to *path* of the API and yield each line of the answer as it arrives.

        Raises:
            RefusedError: the engine refuses the request.
        """
        path = f"/v{self.api}{path}"
        if socket_http.is_socket(self._address):
            yield from socket_http.send_archive(self._address, path, archive, timeout=_WORK_TIMEOUT)
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
        if socket_http.is_socket(self._address):
            timeout = max(timeout, _SSH_TIMEOUT) if self.bridge else timeout
            status, _, body = socket_http.request(self._address, method, path, timeout=timeout)
        else:
            response = self.sdk.api.request(method, f"{self.sdk.api.base_url}{path}", timeout=timeout)
            status, body = response.status_code, response.content
        try:
            return status, json.loads(body)
        except (ValueError, RecursionError):
            return status, body


def connect() -> EngineClient:
    """Connect to the engine that the docker command would use.

    Raises:
        EngineError: there is none, it does not answer, its socket does not admit this user, or docker's configuration
            cannot be used.
    """
    endpoint = find_endpoint()
    host = endpoint.host
    if host.startswith("ssh://") and socket_http.has_sockets():
        return _connect_by_ssh(endpoint)
    try:
        if socket_http.is_socket(host):
            return _connect_to_socket(endpoint, host, timeout=_ANSWER_TIMEOUT)
        with closing(_sdk_client(host, endpoint.certificates, _OLDEST_API, timeout=_ANSWER_TIMEOUT)) as sdk:
            return _described(endpoint, _version(sdk, endpoint))
    except (OSError, HTTPException, ValueError, RecursionError, UnreadableAnswer) as error:
        raise unreachable_error(endpoint, error) from error


def _version(sdk: docker.DockerClient, endpoint: Endpoint) -> Any:
    try:
        return sdk.api.version(api_version=False)
    except Exception as error:
        raise unreachable_error(endpoint, error) from error


def _connect_by_ssh(endpoint: Endpoint) -> EngineClient:
    """Connect through a socket of this machine, which needs no library for SSH."""
    from azureml_tasks.engines.docker.ssh_bridge import SshBridge

    bridge = SshBridge(endpoint.host)
    try:
        connected = _connect_to_socket(endpoint, bridge.address, timeout=_SSH_TIMEOUT)
    except (OSError, HTTPException, ValueError, RecursionError, UnreadableAnswer) as error:
        words = bridge.words()
        bridge.close()
        raise unreachable_by_ssh(endpoint, words, error) from error
    return replace(connected, config=endpoint.config, bridge=bridge)


def _connect_to_socket(endpoint: Endpoint, address: str, *, timeout: float) -> EngineClient:
    """Ask for a ping, which takes a tenth of the time of `/version`: that runs other programs.

    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemPing
    """
    status, headers, _ = socket_http.request(address, "GET", "/_ping", timeout=timeout)
    server, api = re.match(_SERVER, headers.get("Server", "")), headers.get("Api-Version", "")
    if status == HTTPStatus.OK and server and re.fullmatch(_API, api):
        is_podman = server["kind"] == "Libpod"
        return EngineClient(
            context=endpoint.context,
            host=endpoint.host,
            version=server["version"],
            api=api,
            is_podman=is_podman,
            has_buildkit=not is_podman and _has_buildkit(api, headers.get("Ostype", "")),
            certificates=endpoint.certificates,
            config=endpoint.config,
        )
    # A proxy may have replaced the headers.
    status, _, body = socket_http.request(address, "GET", "/version", timeout=timeout)
    if status != HTTPStatus.OK:
        raise HTTPException(f"GET /version was answered with HTTP status {status}")
    return _described(endpoint, json.loads(body))


def _described(endpoint: Endpoint, about: Any) -> EngineClient:
    """Return the engine that the answer to `GET /version` describes; ValueError if it describes none."""
    if not isinstance(about, dict) or not re.fullmatch(_API, str(about.get("ApiVersion"))):
        raise ValueError("the answer to GET /version is not that of an engine")
    listed = about.get("Components")
    components = " ".join(map(str, listed)) if isinstance(listed, list) else ""
    is_podman, api = "podman" in components.lower(), str(about["ApiVersion"])
    return EngineClient(
        context=endpoint.context,
        host=endpoint.host,
        version=str(about.get("Version", "")),
        api=api,
        is_podman=is_podman,
        has_buildkit=not is_podman and _has_buildkit(api, str(about.get("Os", ""))),
        certificates=endpoint.certificates,
        config=endpoint.config,
    )


def _has_buildkit(api: str, system: str) -> bool:
    return system == "linux" and [int(part) for part in re.findall(r"\d+", api)] >= _BUILDKIT_API


def _sdk_client(
    host: str, certificates: Certificates | None, api: str, *, timeout: int
) -> docker.DockerClient:
    """Return the SDK's client for the engine at *host*, and not for the one that the SDK would find by itself."""
    import docker
    from docker.errors import DockerException
    from docker.utils.config import find_config_file
    from requests.utils import get_environ_proxies

    # Where DOCKER_CONFIG has no config.json, the SDK reads the one of the home folder, and docker's client none.
    file = str(find_config_file() or "")
    if file:
        read_config(Path(file))
    try:
        tls = _tls(certificates) if certificates else False
        sdk = docker.DockerClient(base_url=host, version=api, timeout=timeout, tls=tls)
    except (DockerException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"Docker's SDK cannot be set up for the engine at {host}."
        said = f"it said: {type(error).__name__}: {clean(str(error))}"
        raise EngineError(what, next_step=f"Check {file or 'docker context ls'}", said=said) from error
    # Else REQUESTS_CA_BUNDLE would precede the engine's certificates, and a netrc file would be sent to it.
    sdk.api.proxies.update(get_environ_proxies(sdk.api.base_url))
    sdk.api.trust_env = False
    return sdk


def _tls(certificates: Certificates) -> docker.tls.TLSConfig:
    from docker.tls import TLSConfig

    client = (certificates.client, certificates.key) if certificates.client else None
    return TLSConfig(client_cert=client, ca_cert=certificates.ca or None, verify=certificates.verify)


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


def _object(answer: Any) -> dict[str, Any]:
    """Return *answer*; UnreadableAnswer if it is not a JSON object."""
    if not isinstance(answer, dict):
        raise UnreadableAnswer("the answer is not a JSON object")
    return answer


def _parsed(status: int, answer: Any) -> Any:
    """Return the JSON of an answer to a request that succeeded.

    Raises:
        RefusedError: the status is an error.
        UnreadableAnswer: the answer is not JSON.
    """
    if isinstance(_success(status, answer), bytes):
        raise UnreadableAnswer("the answer is not JSON")
    return answer
