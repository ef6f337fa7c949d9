"""What a push gives: the digest in the registry, or a refusal."""

from __future__ import annotations

import socket
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.real.support import normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machine.registry import Registry
    from tests.real.support import Consumer

__all__ = ["ACCEPT", "digest_of", "no_registry", "refusal"]

ACCEPT = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"


def digest_of(registry: Registry, name: str, tag: str) -> str:
    """Ask the registry for the digest of a tag."""
    request = urllib.request.Request(f"http://{registry.host}/v2/{name}/manifests/{tag}", method="HEAD")
    request.add_header("Accept", ACCEPT)
    if registry.user:
        login = b64encode(f"{registry.user}:{registry.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request) as answer:  # a constant scheme
        return str(answer.headers["Docker-Content-Digest"])


@contextmanager
def no_registry() -> Iterator[str]:
    """A `host:port` at which nobody listens, nor can: it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def refusal(text: str, project: Consumer, host: str) -> str:
    """Return the error message, the last paragraph of stderr."""
    words = {project.folder.name: "NAME", host: "HOST"}
    lines = normal(text, {name: word for name, word in words.items() if name}).splitlines()
    start = max(
        index for index, line in enumerate(lines) if not line.startswith(" ") and index < len(lines) - 1
    )
    return "\n".join(lines[start:])
