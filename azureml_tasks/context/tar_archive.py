"""The build context as one tar archive: the same members, the same bytes, on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.context.build_context import BuildContext

__all__ = ["TIME", "archive", "end_of_archive", "member", "mode_of"]

_TAR_BLOCK = 512
"""Bytes; a member's content fills the last one."""
TIME = 315_532_800
"""1980-01-01T00:00:00Z, for every member: nothing of when or where it was packed is left, and zip can still say it."""


def archive(context: BuildContext) -> Iterator[bytes]:
    """The context and its Dockerfile as a tar archive, block by block; memory stays at a few blocks.

    Same members, same bytes: sorted names, one fixed time, owner 0, modes 0644 and 0755.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    for file in context.members:
        yield from member(file)
    yield end_of_archive()


def mode_of(file: ContextFile) -> int:
    """The permissions of a member that is no link: whatever they are here, the runtime user can read it there."""
    return 0o755 if file.executable or file.name.endswith("/") else 0o644


def end_of_archive() -> bytes:
    """What follows the last member."""
    return b"\0" * _TAR_BLOCK * 2


def member(file: ContextFile) -> Iterator[bytes]:
    """One member of an archive: its header, then its content in blocks, then what fills the last 512 bytes.

    Raises:
        BuildError: as of `archive`.
    """
    import tarfile

    info = tarfile.TarInfo(file.name.rstrip("/"))
    info.mtime = TIME
    info.mode = mode_of(file)
    if file.name.endswith("/"):
        info.type = tarfile.DIRTYPE
    elif file.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, file.link, 0o777
    else:
        info.size = file.size
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    if info.size:
        yield from blocks(file)
        yield b"\0" * (-info.size % _TAR_BLOCK)
