"""One build by the engine's API: with its legacy builder, with its own BuildKit, or with Podman's builder.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageBuild
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from azureml_tasks.engines.docker.answers import event_details
from azureml_tasks.engines.docker.socket_http import UnreadableAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.engines.docker.client import EngineClient

_GRAPH_DRIVER = "overlay2"
"""The storage driver of an engine that keeps its images itself; the drivers of containerd have other names."""


def takes_archives(client: EngineClient, driver: str) -> bool:
    """Return whether the engine's own BuildKit takes a build context as an archive by the API.

    An engine that keeps its images in containerd does not: 26.1.5 asks the network for a host `build-context-…`.

    Args:
        client: of the engine.
        driver: the storage driver of its images; "" if it does not say.
    """
    return client.has_buildkit and driver == _GRAPH_DRIVER


def build_events(
    client: EngineClient,
    archive: Iterable[bytes],
    platform: str,
    arguments: Mapping[str, str],
    *,
    name: str,
    no_cache: bool,
    buildkit: bool,
    dockerfile: str = "",
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[dict[str, Any]]:
    """Send a build context and yield each event of the answer as it arrives.

    Args:
        client: of the engine.
        archive: the build context, as the blocks of a tar archive.
        platform: such as `linux/amd64`.
        arguments: build arguments by name; those of docker's configured proxies are added, as docker's client does.
        name: reference that the image gets.
        no_cache: build every step.
        buildkit: build with BuildKit; only for an engine that `takes_archives`.
        dockerfile: its name in the archive; "" for `Dockerfile`.
        labels: that the image gets besides those of the Dockerfile.

    Raises:
        RefusedError: the engine refuses the request.
        UnreadableAnswer: an event is none.
    """
    all_arguments = {**client.proxies, **arguments}
    # The legacy builder keeps the container of a failed step unless `forcerm` is set.
    options = {
        "t": name,
        "platform": platform,
        "buildargs": json.dumps(all_arguments),
        "rm": "1",
        "forcerm": "1",
    }
    options |= {"dockerfile": dockerfile} if dockerfile else {}
    options |= {"labels": json.dumps(dict(labels))} if labels else {}
    options |= ({"nocache": "1"} if no_cache else {}) | ({"version": "2"} if buildkit else {})
    for line in client.send_archive(f"/build?{urlencode(options)}", archive):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the build is not JSON: {error}") from error
        yield event_details(event)
