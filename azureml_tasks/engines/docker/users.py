"""The users of an image, from its /etc/passwd."""

from __future__ import annotations

import io
import posixpath
import tarfile
from typing import TYPE_CHECKING

from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_FILE = "/etc/passwd"
_LARGEST = 1_000_000
"""Bytes; a real file has about two thousand."""
_AROUND = 64 * 1024
"""Bytes that an archive of one file may have around it."""
_MOST_LINKS = 8
_FIELDS = 7
"""Fields of a line, `name:password:uid:…`: passwd(5)."""


def read_users(archive_of: Callable[[str], Iterable[bytes] | None]) -> dict[str, str]:
    """Return the users with their IDs, by name; of a file that is a link, those of what it leads to.

    Args:
        archive_of: returns the tar archive of a path in the image, as blocks; None for one that is not there.

    Raises:
        BuildError: the file is too large, or is none.
    """
    path = _FILE
    for _ in range(_MOST_LINKS):
        blocks, archive = archive_of(path), bytearray()
        if blocks is None:
            return {}
        for block in blocks:
            archive += block
            if len(archive) > _LARGEST + _AROUND:
                raise _error(f"is larger than {_LARGEST / 1e6:,.0f} MB")
        content = _content(bytes(archive))
        if isinstance(content, bytes):
            return _users(content.decode(errors="replace"))
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), content))
    raise _error("is a link that leads to other links without end")


def _content(archive: bytes) -> bytes | str:
    """Return the content of the one file in an archive, or what it leads to if it is a link."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            member = tar.next()
            if member and member.issym():
                return member.linkname
            file = tar.extractfile(member) if member and member.isfile() else None
            if file:
                return file.read()
    except (tarfile.TarError, OSError) as error:
        raise _error(f"cannot be read: {error}") from error
    raise _error("is not a file")


def _users(text: str) -> dict[str, str]:
    entries = (line.split(":") for line in text.split("\n"))
    return {entry[0]: entry[2] for entry in entries if len(entry) == _FIELDS}


def _error(what: str) -> BuildError:
    fix = 'Name another base, or the number of a user, which is not looked up: user = "1000"'
    return BuildError(f"{_FILE} of the image {what}.", next_step=fix)
