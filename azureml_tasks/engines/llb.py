"""A build context as BuildKit's own language has it (LLB): what is in it is a part of what is asked for.

So nothing has to be fetched from here, neither by a session of docker's client nor from an address that the engine
would look for, and an engine that has the same files already does not touch them again.
https://github.com/moby/buildkit/blob/master/solver/pb/ops.proto names the fields.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from azureml_tasks.archive import TIME, end_of_archive, member, mode_of
from azureml_tasks.context_file import ContextFile, blocks
from azureml_tasks.engines.protobuf import field, table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["definition", "size"]

_FEW = 300
"""Files that are written one by one; of more an archive is unpacked, for which an engine starts another process."""
_OF_A_MEMBER = 1024
"""Bytes of an archive that a member takes beside its content, or nearly so."""
_NOTHING = -1
"""The number of no input and of no output."""
_COPY, _MAKE_FILE, _MAKE_FOLDER = 4, 5, 6
_ARCHIVE = "/context.tar"


def size(members: Sequence[ContextFile]) -> int:
    """Bytes of the definition of *members*, or nearly so."""
    return sum(file.size + _OF_A_MEMBER for file in members)


def definition(members: Sequence[ContextFile]) -> bytes:
    """The message `Definition` of a folder with *members*.

    Args:
        members: sorted; the folders that each lies in are among them.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    few = len(members) <= _FEW and not any(file.link for file in members)
    made = field(4, b"".join(field(2, action) for action in (_one_by_one if few else _unpacked)(members)))
    operations = (made, field(1, field(1, _digest(made))))  # The last one says which of them is the result.
    said = b"".join(field(1, operation) for operation in operations)
    return said + table(2, {_digest(operation): b"" for operation in operations})


def _digest(operation: bytes) -> str:
    return f"sha256:{hashlib.sha256(operation).hexdigest()}"


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


def _between(on: int, of: int, output: int) -> bytes:
    return field(1, on) + field(2, of) + field(3, output)


def _unpacked(members: Sequence[ContextFile]) -> list[bytes]:
    """An archive, and what it unpacks to in an empty folder."""
    packed = b"".join([*(block for file in members for block in member(file)), end_of_archive()])
    archive = ContextFile(name=_ARCHIVE.lstrip("/"), data=packed, size=len(packed))
    places = field(1, _ARCHIVE) + field(2, "/")
    copy = (
        places + field(4, _NOTHING) + field(7, 1) + field(11, _NOTHING)
    )  # modes and times as they are, unpacked
    return [_made(archive, on=_NOTHING, output=_NOTHING), _between(_NOTHING, 0, 0) + field(_COPY, copy)]
