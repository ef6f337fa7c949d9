"""One member of a build context, as a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ContextFile", "blocks", "changed"]

_BLOCK = 1024 * 1024


class ContextFile(NamedTuple):
    """One member of the build context.

    Args:
        name: its path in the context, with "/"; a folder's ends with one.
        source: the file whose bytes it has; None for a folder, a link, and what is in `data`.
        data: bytes that stand in no file.
        size: of the content, in bytes.
        executable: whether it may be run.
        link: what a symbolic link points at, relative to its own folder; "" where it is none.
    """

    name: str
    source: Path | None = None
    data: bytes = b""
    size: int = 0
    executable: bool = False
    link: str = ""


def blocks(file: ContextFile) -> Iterator[bytes]:
    """The content of *file* in blocks of at most 1 MiB.

    Raises:
        BuildError: it changed or went away since its size was read.
    """
    from io import BytesIO

    try:
        stream = file.source.open("rb") if file.source else BytesIO(file.data)
    except FileNotFoundError as error:
        raise changed(file) from error
    with stream:
        left = file.size
        while left:
            block = stream.read(min(_BLOCK, left))
            if not block:
                raise changed(file)
            left -= len(block)
            yield block
        if stream.read(1):
            raise changed(file)


def changed(file: ContextFile) -> BuildError:
    """The error of a file that is another one than a moment ago."""
    return BuildError(f"{file.source} changed while it was read.", next_step="Run the same command again.")
