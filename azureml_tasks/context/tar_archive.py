"""The build context as a tar archive: the same members give the same bytes on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.context.context_file import ContextFile, blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azureml_tasks.context.build_context import BuildContext

_TAR_BLOCK = 512
"""Bytes; the content of a member is padded to a multiple of it."""
TIME = 315_532_800
"""1980-01-01T00:00:00Z, the time of every member: the earliest that a zip file can hold, such as a wheel."""


def archive(context: BuildContext) -> Iterator[bytes]:
    """Yield the Dockerfile and the files of *context* as a tar archive, in blocks of at most 1 MiB.

    Names are sorted, times fixed, owner and group 0, and modes 0644 or 0755.

    Raises:
        BuildError: a file has changed since its size was read.
    """
    yield from archive_of(context.members)


def archive_of(files: Iterable[ContextFile]) -> Iterator[bytes]:
    """Yield *files* as a tar archive; see `archive`."""
    for file in files:
        yield from member(file)
    yield end_of_archive()


def mode_of(file: ContextFile) -> int:
    """Return the mode of a file or folder, with which every user can read it."""
    return 0o755 if file.executable or file.name.endswith("/") else 0o644


def end_of_archive() -> bytes:
    """Return what follows the last member."""
    return b"\0" * _TAR_BLOCK * 2


def member(file: ContextFile, time: int = TIME) -> Iterator[bytes]:
    """Yield one member of an archive: header, content and padding.

    Args:
        file: the member.
        time: when it changed last, seconds since 1970.

    Raises:
        BuildError: the file has changed since its size was read.
    """
    import tarfile

    info = tarfile.TarInfo(file.name.rstrip("/"))
    info.mtime = time
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
