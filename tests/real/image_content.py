"""What is in an image: its files, packages, variables and user, to compare two images by."""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

__all__ = ["File", "ImageContent", "content_of"]

_DISTRIBUTION = re.compile(r"site-packages/([^/]+)-([^/-]+)\.dist-info/METADATA")
_DEBIAN = re.compile(
    r"^Package: (\S+)\nStatus: install ok installed\n(?:.+\n)*?Version: (\S+)$", re.MULTILINE
)
_STATUS = "var/lib/dpkg/status"


class File(NamedTuple):
    """A file, folder or link of an image.

    Args:
        mode: its permissions.
        owner: user and group.
        content: "folder", the target of a link, or the hash of what is in it.
    """

    mode: str
    owner: str
    content: str


class ImageContent(NamedTuple):
    """What is in an image.

    Args:
        files: by path.
        python: versions of Python packages by name.
        debian: versions of Debian packages by name.
        variables: of its environment.
        user: that runs it.
        command: that starts it: its entry point and its command.
        folder: in which it starts.
        labels: with which it is labelled.
    """

    files: Mapping[str, File]
    python: Mapping[str, str]
    debian: Mapping[str, str]
    variables: Mapping[str, str]
    user: str
    command: tuple[str, ...]
    folder: str
    labels: Mapping[str, str]


def content_of(client: docker.DockerClient, image: str) -> ImageContent:
    """Return what is in *image*; nothing of it is run."""
    config = client.images.get(image).attrs["Config"]
    files: dict[str, File] = {}
    python: dict[str, str] = {}
    debian: dict[str, str] = {}
    for member, content in _members(client, image):
        files[f"/{member.name}"] = File(
            mode=f"{member.mode:o}",
            owner=f"{member.uid}:{member.gid}",
            content="folder" if member.isdir() else member.linkname or hashlib.sha256(content).hexdigest(),
        )
        if match := _DISTRIBUTION.search(member.name):
            python[match[1]] = match[2]
        if member.name == _STATUS:
            debian = dict(_DEBIAN.findall(content.decode()))
    return ImageContent(
        files=files,
        python=python,
        debian=debian,
        variables=dict(each.split("=", 1) for each in config["Env"] or ()),
        user=config["User"],
        command=(*(config["Entrypoint"] or ()), *(config["Cmd"] or ())),
        folder=config["WorkingDir"],
        labels=config["Labels"] or {},
    )


def _members(client: docker.DockerClient, image: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield each file of *image* and what is in it, of a container that is never started."""
    container = client.containers.create(image, command=["true"])
    try:
        with tempfile.TemporaryFile() as exported:
            exported.writelines(container.export())  # type: ignore[arg-type]  # the stubs call its bytes text
            exported.seek(0)
            with tarfile.open(fileobj=exported) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    yield member, file.read() if file else b""
    finally:
        container.remove(force=True)
