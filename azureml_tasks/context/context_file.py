"""One member of a build context."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.errors import BuildError
from azureml_tasks.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1024 * 1024


class ContextFile(NamedTuple):
    """One member of a build context.

    Args:
        name: its path in the context, with "/"; the name of a folder ends with one.
        source: absolute path of the file that is copied; "" for a folder, a link, and a file that `data` holds.
        data: the content of a file that has no source.
        size: of the content, in bytes.
        executable: whether the copy is executable.
        link: the target of a symbolic link, relative to the link's own folder; "" for anything else.
        sha256: of the content, in hexadecimal, if it was read already; else "".
    """

    name: str
    source: str = ""
    data: bytes = b""
    size: int = 0
    executable: bool = False
    link: str = ""
    sha256: str = ""


def blocks(file: ContextFile) -> Iterator[bytes]:
    """Yield the content of *file* in blocks of at most 1 MiB.

    Raises:
        BuildError: the file has changed since its size was read.
    """
    if not file.source:
        yield file.data
        return
    try:
        stream = open(file.source, "rb", buffering=0)  # noqa: PTH123, SIM115 -- thousands of files; closed below
    except FileNotFoundError as error:
        raise changed(file.source) from error
    with stream:
        left = file.size
        while left:
            block = stream.read(min(_BLOCK, left))
            if not block:
                raise changed(file.source)
            left -= len(block)
            yield block
        if stream.read(1):
            raise changed(file.source)


def changed(source: str) -> BuildError:
    """Return the error for a file that changes while it is read."""
    return BuildError(
        f"{one_line(source)} changed while it was read.", next_step="Run the same command again."
    )
