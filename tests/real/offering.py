"""A base with an index of its own in a folder, so that nothing is fetched, and what an image of it has installed."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from tests.real.support import output_of, removed_after, unique
from tests.wheels import wheel

__all__ = ["installed", "offering", "packed"]

LOOK = """\
import json
from importlib import metadata
print(json.dumps({d.metadata["Name"]: d.version for d in metadata.distributions()}))
"""


@contextmanager
def offering(client: docker.DockerClient, base: str, folder: Path) -> Iterator[str]:
    """The image *base* with wheels on offer, which are made in *folder*."""
    offered = [
        wheel(folder, "alpha", "1.0"),
        wheel(folder, "alpha", "2.0"),
        wheel(folder, "beta", "1.0", "alpha"),
        wheel(folder, "gamma", "1.0"),
        wheel(folder, "delta", "1.0"),
        wheel(folder, "flask", "2.3.3"),
        wheel(folder, "six", "1.16"),
    ]
    name = f"{unique('offering')}:1"
    conf = "[global]\nno-index = true\nfind-links = /index\n"
    lines = f"FROM {base}\nUSER root\nCOPY index /index\nCOPY pip.conf /etc/pip.conf\nUSER dockeruser\n"
    with removed_after(client, name):
        client.images.build(
            fileobj=io.BytesIO(packed({
                "Dockerfile": lines.encode(),
                "pip.conf": conf.encode(),
                **{f"index/{path.name}": path.read_bytes() for path in offered},
            })),
            custom_context=True,
            tag=name,
            rm=True,
            nocache=True,
        )  # fmt: skip
        yield name


def packed(files: dict[str, bytes]) -> bytes:
    """A tar archive of *files*."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def installed(client: docker.DockerClient, image: str) -> dict[str, str]:
    """The packages of the image's environment, by name."""
    packages: dict[str, str] = json.loads(output_of(client, image, ["python", "-c", LOOK]))
    return packages
