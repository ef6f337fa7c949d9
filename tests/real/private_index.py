"""A package index that answers no one without a login, and where its passwords must not show."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.real.offering import packed
from tests.wheels import wheel

__all__ = ["Private", "layers", "serving", "showing", "wait_for_words"]

_INDEX = """\
import base64, http.server, pathlib, sys

LOGINS = {"Basic " + base64.b64encode(login.encode()).decode() for login in sys.argv[1:]}

class Index(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") in LOGINS:
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Length", "0")
            self.end_headers()

server = http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Index)
print("listening", flush=True)
server.serve_forever()
"""


@dataclass(frozen=True, kw_only=True)
class Private:
    """A private index on the engine's own network: its address and what pip needs to reach it.

    Args:
        host: its address.
        netrc: the password of `alice`, who may read the first of its two parts, with `alpha`.
        address: that of `bob`, who may read the second, with `beta`.
    """

    host: str
    netrc: str
    address: str

    @property
    def conf(self) -> str:
        """Two indexes, of which one has its login in its address; the base's own certificates stay."""
        address = f"{self.host}:8080"
        return (
            f"[global]\nindex-url = http://{address}/one\n"
            f"extra-index-url = http://bob:{self.address}@{address}/two\ntrusted-host = {self.host}\n"
        )

    @property
    def login(self) -> str:
        """The login of the other, as a netrc, in which a backslash takes the next character as it is."""
        password = self.netrc.replace("\\", "\\\\")
        return f"machine {self.host}\nlogin alice\npassword {password}\n"


@contextmanager
def serving(
    client: docker.DockerClient,
    image: str,
    folder: Path,
    *,
    netrc: str,
    address: str,
    more: Mapping[str, bytes] | None = None,
) -> Iterator[Private]:
    """Serve an index with these passwords, in a container of *image*, so that builds of any engine reach it.

    Args:
        client: of the engine.
        image: has Python.
        folder: for its files.
        netrc: password of the first part.
        address: password of the second part.
        more: further files by their path.
    """
    files = {"index.py": _INDEX.encode(), **(more or {})}
    for where, name in (("one", "alpha"), ("two", "beta")):
        path = wheel(folder, name, "1.0")
        files[f"{where}/{name}/{path.name}"] = path.read_bytes()
        files[f"{where}/{name}/index.html"] = f'<a href="{path.name}">{path.name}</a>'.encode()
    logins = [f"alice:{netrc}", f"bob:{address}"]
    container = client.containers.create(
        image, ["python", "/srv/index.py", *logins], working_dir="/srv", network="bridge"
    )
    try:
        container.put_archive("/srv", packed(files))
        container.start()
        wait_for_words(container)
        host = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        yield Private(host=host, netrc=netrc, address=address)
    finally:
        container.remove(force=True, v=True)


def wait_for_words(container: Container) -> None:
    """Wait until the container has printed something, as a server does once it listens."""
    with closing(container.logs(stream=True, follow=True)) as printed:
        assert next(iter(printed), b""), "the container has ended"
    container.reload()


def layers(client: docker.DockerClient, image: str, scratch: Path) -> Iterator[bytes]:
    """Every part of the image as `docker save` writes it: layers, configuration, manifest."""
    with (scratch / "image.tar").open("wb") as file:
        for block in client.images.get(image).save():
            file.write(block)
    with tarfile.open(scratch / "image.tar") as archive:
        for member in archive:
            if member.isfile() and (part := archive.extractfile(member)):
                data = part.read()
                yield gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def showing(parts: Mapping[str, bytes], words: Iterable[str]) -> list[str]:
    """Which of *parts* hold one of *words*."""
    return [name for name, data in parts.items() if any(word.encode() in data for word in words)]
