"""One build by the engine's API, as the events that it answers with: the legacy builder's, BuildKit's, or Podman's.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageBuild
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.engines.docker.client import EngineClient

__all__ = ["built", "takes_archives"]

_OWN_STORE = "overlay2"
"""The storage driver of an engine that keeps its images itself; containerd's go by other names."""


def takes_archives(client: EngineClient, driver: str) -> bool:
    """Whether the engine's BuildKit can be sent a build context as an archive by the API.

    One that keeps its images in containerd cannot: it asks the network for the context's host, `build-context-…`, as
    seen of 26.1.5.

    Args:
        client: the engine.
        driver: the storage driver that has its images; "" where it does not say.
    """
    return client.has_buildkit and driver == _OWN_STORE


def built(
    client: EngineClient,
    feed: Iterator[bytes],
    platform: str,
    arguments: Mapping[str, str],
    *,
    no_cache: bool,
    buildkit: bool = False,
) -> Iterator[dict[str, Any]]:
    """Send the archive *feed*, and give each event as it comes.

    Args:
        client: the engine.
        feed: the build context.
        platform: such as `linux/amd64`.
        arguments: of the build, by name.
        no_cache: whether every step is done anew.
        buildkit: whether BuildKit builds; the engine must take archives for it, see `takes_archives`.

    Raises:
        RefusedError: the engine does not begin, with what it says.
    """
    # The legacy builder keeps a failed step's container unless it is told by `forcerm`.
    options = {"platform": platform, "buildargs": json.dumps(dict(arguments)), "rm": "1", "forcerm": "1"}
    options |= ({"nocache": "1"} if no_cache else {}) | ({"version": "2"} if buildkit else {})
    query = urlencode(options)
    for line in client.send_archive(f"/build?{query}", feed):
        yield dict(json.loads(line))
