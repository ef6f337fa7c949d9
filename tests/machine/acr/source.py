"""Unpack the uploaded archive as the agent does."""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
import zlib
from pathlib import Path

__all__ = ["BadSourceError", "unpack"]


class BadSourceError(Exception):
    """The archive cannot be unpacked, with the agent's message."""


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack *archive*, compressed or not, with owners and modes.

    Raises:
        BadSourceError: it is no archive, or a member or a link leaves the folder.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as opened:
            members = opened.getmembers()
            for member in members:
                _check(member)
            # The checks above are the agent's own; Python's would change owners and modes.
            opened.extraction_filter = staticmethod(_unchanged)
            opened.extractall(folder, members, numeric_owner=os.geteuid() == 0)  # noqa: S202 -- checked above
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise BadSourceError(f"failed to untar context: {error}") from None


def _check(member: tarfile.TarInfo) -> None:
    name = posixpath.normpath(member.name)
    if member.name.startswith("/") or name.startswith("../") or name == "..":
        raise BadSourceError(f"failed to untar context: {member.name!r} is outside of the context")
    if not (member.issym() or member.islnk()):
        return
    base = posixpath.dirname(name) if member.issym() else ""
    target = posixpath.normpath(posixpath.join(base, member.linkname))
    if target.startswith(("/", "../")) or target == "..":
        raise BadSourceError(f"failed to untar context: invalid link {member.name!r} -> {member.linkname!r}")


def _unchanged(member: tarfile.TarInfo, _path: str) -> tarfile.TarInfo:
    return member
