"""What copies files into an image, in BuildKit's own language (LLB): the files are a part of what is asked for.

So nothing has to be fetched from here, neither by a session of docker's client nor from an address that the engine
would look for, and an engine that has the same files already does not touch them again.
https://github.com/moby/buildkit/blob/master/solver/pb/ops.proto names the fields.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.archive import TIME, end_of_archive, member, mode_of
from azureml_tasks.context_file import ContextFile, blocks
from azureml_tasks.engines.protobuf import field, table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Copy", "definition", "platform_of", "size"]

_FEW = 300
"""Files that are written one by one; of more an archive is unpacked, for which an engine starts another process."""
_OF_A_MEMBER = 1024
"""Bytes of an archive that a member takes beside its content, or nearly so."""
_NOTHING = -1
"""The number of no input, of no output, and of a mode and a time that stay as they are."""
_COPY, _MAKE_FILE, _MAKE_FOLDER = 4, 5, 6
_ARCHIVE = "/context.tar"


class Copy(NamedTuple):
    """What COPY does.

    Args:
        source: a folder of the context, whose content is copied.
        target: a folder of the image, which is made where it is not there.
    """

    source: str
    target: str


def size(members: Sequence[ContextFile]) -> int:
    """Bytes that *members* take in a definition, or nearly so."""
    return sum(file.size + _OF_A_MEMBER for file in members)


def platform_of(platform: str) -> bytes:
    """The message `Platform` of one such as `linux/amd64` or `linux/arm/v7`."""
    system, architecture, *variant = platform.split("/")
    return field(1, architecture) + field(2, system) + b"".join(field(3, text) for text in variant)


def definition(
    base: str, platform: str, members: Sequence[ContextFile], copies: Sequence[Copy], *, no_cache: bool
) -> bytes:
    """The message `Definition` of the file system of an image.

    Args:
        base: whole reference of what it stands on.
        platform: such as `linux/amd64`.
        members: the build context, sorted; the folders that each lies in are among them.
        copies: of the context into the image, one or none for each layer.
        no_cache: whether every step is done anew.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    where = field(10, platform_of(platform))
    on, context = field(3, field(1, f"docker-image://{base}")) + where, _context(members) if copies else b""
    found = [on, context] if copies else [on]
    for copy in copies:
        action = _between(0, 1, 0) + field(_COPY, _copied(copy))
        on = _input(on) + _input(context) + field(4, field(2, action)) + where
        found.append(on)
    found.append(_input(on))  # The last one says which of them is the result.
    metadata = field(1, 1) if no_cache else b""
    operations = b"".join(field(1, operation) for operation in found)
    return operations + table(2, {_digest(operation): metadata for operation in found})


def _input(operation: bytes) -> bytes:
    return field(1, field(1, _digest(operation)))


def _digest(operation: bytes) -> str:
    return f"sha256:{hashlib.sha256(operation).hexdigest()}"


def _between(on: int, of: int, output: int) -> bytes:
    """What an action of a file operation is done on, what it takes from, and where its result comes out."""
    return field(1, on) + field(2, of) + field(3, output)


def _copied(copy: Copy) -> bytes:
    """As COPY copies a folder: links to it are followed, its content is meant, and the target is made."""
    places = field(1, f"/{copy.source.strip('/')}") + field(2, copy.target)
    return places + field(4, _NOTHING) + field(5, 1) + field(6, 1) + field(8, 1) + field(11, _NOTHING)


def _context(members: Sequence[ContextFile]) -> bytes:
    """The operation that makes a folder with *members*."""
    few = len(members) <= _FEW and not any(file.link for file in members)
    return field(4, b"".join(field(2, action) for action in (_one_by_one if few else _unpacked)(members)))


def _one_by_one(members: Sequence[ContextFile]) -> list[bytes]:
    """Each made beside those before it, the first in an empty folder; what the last one leaves is the result."""
    last = len(members) - 1
    return [
        _made(file, on=at - 1 if at else _NOTHING, output=0 if at == last else _NOTHING)
        for at, file in enumerate(members)
    ]


def _made(file: ContextFile, *, on: int, output: int) -> bytes:
    """The action that makes a file or a folder in what another one, by its number, has left."""
    said = field(1, f"/{file.name.rstrip('/')}") + field(2, mode_of(file))
    when = field(5, TIME * 10**9)
    if file.name.endswith("/"):
        kind, content = _MAKE_FOLDER, field(3, 1)
    else:
        kind, content = _MAKE_FILE, field(3, b"".join(blocks(file)))
    return _between(on, _NOTHING, output) + field(kind, said + content + when)


def _unpacked(members: Sequence[ContextFile]) -> list[bytes]:
    """An archive, and what it unpacks to in an empty folder."""
    packed = b"".join([*(block for file in members for block in member(file)), end_of_archive()])
    archive = ContextFile(name=_ARCHIVE.lstrip("/"), data=packed, size=len(packed))
    places = field(1, _ARCHIVE) + field(2, "/")
    copy = places + field(4, _NOTHING) + field(7, 1) + field(11, _NOTHING)  # modes and times as in it
    return [_made(archive, on=_NOTHING, output=_NOTHING), _between(_NOTHING, 0, 0) + field(_COPY, copy)]
