"""One build by the engine's API: with its legacy builder, with its own BuildKit, or with Podman's builder.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageBuild
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from azureml_tasks.engines.build_log import is_legacy_status
from azureml_tasks.engines.docker.answers import event_details
from azureml_tasks.engines.docker.socket_http import UnreadableAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.engines.docker.client import EngineClient

_GRAPH_DRIVER = "overlay2"
"""The storage driver of an engine that keeps its images itself; the drivers of containerd have other names."""
_LONGEST_LINE = 10_000
"""Characters of a line without an end after which its beginning is shown."""


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
    yield from whole_lines(_events(client.send_archive(f"/build?{urlencode(options)}", archive)))


def whole_lines(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Join the pieces of a line that come in several events; events of other kinds are yielded as they are.

    The engine sends what a step prints as the step writes it: apt writes `E`, and then `: ` and the rest of the line.
    """
    begun = ""
    for event in events:
        text = str(event.get("stream", ""))
        # A step need not end its last line, and what comes next is a line of the builder's own.
        if begun and (not text or is_legacy_status(text) or len(begun) > _LONGEST_LINE):
            yield {"stream": begun}
            begun = ""
        whole, end, rest = (begun + text).rpartition("\n")
        begun = rest if text else ""
        if end or not text:
            yield {**event, "stream": whole + end} if text else event
    if begun:
        yield {"stream": begun}


def _events(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableAnswer(f"an event of the build is not JSON: {error}") from error
        yield event_details(event)
