"""The users of a base image."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Iterable

import pytest

from azureml_tasks.engines.docker.users import read_users
from azureml_tasks.errors import BuildError

LINES = "root:x:0:0:root:/root:/bin/bash\nserver:x:1000:1000:\u2028:/home:/bin/sh\nbroken:x:1\n"
FIX = 'Name another base, or the number of a user, which is not looked up: user = "1000"'


def archive(content: bytes | None, link: str = "", kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a tar archive of one file, or of a link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("passwd")
        member.type, member.size = (tarfile.SYMTYPE, 0) if link else (kind, len(content or b""))
        member.linkname = link
        tar.addfile(member, io.BytesIO(content or b""))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("", ""),
        ("/usr/lib/passwd", "/usr/lib/passwd"),
        ("../lib/passwd", "/lib/passwd"),
        ("users", "/etc/users"),
    ],
)
def test_users_by_name(link: str, target: str) -> None:
    """The lines with all fields are read, also if the file is a link to another one of the image."""
    file = archive(LINES.encode())
    files = {"/etc/passwd": archive(None, link) if link else file, target: file}

    assert {"root": "0", "server": "1000"} == read_users(lambda path: [files[path]])


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (itertools.repeat(archive(b"x" * 900_000)), "is larger than 1 MB"),
        ([archive(None, "/etc/passwd")], "is a link that leads to other links without end"),
        ([archive(b"", kind=tarfile.DIRTYPE)], "is not a file"),
        ([archive(b"", kind=tarfile.FIFOTYPE)], "is not a file"),
        ([b""], "cannot be read: empty file"),
        ([b"no archive" * 100], "cannot be read: "),
    ],
    ids=["400 MB", "circle", "folder", "fifo", "nothing", "no archive"],
)
def test_a_file_that_cannot_be_read(blocks: Iterable[bytes], message: str) -> None:
    """It is refused in a sentence; of one without end only its beginning is read."""
    with pytest.raises(BuildError) as caught:
        read_users(lambda _path: blocks)

    assert f"/etc/passwd of the image {message}" in str(caught.value)
    assert FIX == caught.value.next_step
