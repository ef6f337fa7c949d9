"""`Plan` → the build context: its hash, and its bytes as one reproducible archive."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from azureml_tasks.context_file import ContextFile
from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from azureml_tasks.file_hashes import FileHashes

__all__ = ["Context", "archive", "confirm", "digest", "digests", "end_of_archive", "largest", "member"]

_BLOCK, _TAR_BLOCK = 1024 * 1024, 512
_SHOWN = 3
_TIME = 315_532_800
"""1980-01-01T00:00:00Z, for every member: nothing of when or where it was packed is left, and zip can still say it."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """A build context: what is in it, and what names it.

    Args:
        files: its members, sorted.
        dockerfile: the text.
        sha256: over names, executable bits and contents of the members, in hexadecimal.
        parts: the same over the members of each folder at the top: `code`, `model`, `python`.
        known: the hashes of the files, by which a change since is seen.
    """

    files: tuple[ContextFile, ...]
    dockerfile: str
    sha256: str
    parts: Mapping[str, str] = field(default_factory=dict)
    known: FileHashes | None = field(default=None, compare=False, repr=False)

    @property
    def asks_for_its_hash(self) -> bool:
        """Whether the Dockerfile has the argument CONTEXT_SHA256: a builder warns of one that it has not."""
        return "ARG CONTEXT_SHA256" in self.dockerfile

    @property
    def members(self) -> tuple[ContextFile, ...]:
        """The Dockerfile, then the files: what an archive of it holds."""
        text = self.dockerfile.encode()
        return (ContextFile(name="Dockerfile", data=text, size=len(text)), *self.files)

    @property
    def size(self) -> int:
        """Bytes of all contents."""
        return sum(file.size for file in self.files)

    @property
    def count(self) -> int:
        """Files and links, without folders."""
        return sum(not file.name.endswith("/") for file in self.files)


def digest(files: Iterable[ContextFile], known: FileHashes | None = None) -> str:
    """The SHA-256 over names, executable bits and contents of *files*, in hexadecimal.

    Each member counts as one line: kind, SHA-256 of its content or link, and its name, which ends in NUL.

    Args:
        files: members, sorted.
        known: the hashes of files that need not be read again.

    Raises:
        BuildError: a file changed or went away meanwhile.
    """
    return digests(files, known)[0]


def digests(files: Iterable[ContextFile], known: FileHashes | None = None) -> tuple[str, dict[str, str]]:
    """`digest`, and the same over the members of each folder at the top by the folder's name."""
    total = hashlib.sha256()
    parts: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    for file in files:
        kind, content = _content_hash(file, known)
        line = f"{kind} {content} ".encode() + file.name.encode() + b"\0"
        total.update(line)
        parts[file.name.partition("/")[0]].update(line)
    return total.hexdigest(), {name: part.hexdigest() for name, part in parts.items()}


def _content_hash(file: ContextFile, known: FileHashes | None) -> tuple[str, str]:
    if file.name.endswith("/"):
        return "folder", "-"
    if file.link:
        return "link", hashlib.sha256(file.link.encode()).hexdigest()
    kind = "program" if file.executable else "file"
    if file.source and known:
        try:
            found = known.of(file.source, file.size)
        except FileNotFoundError as error:
            raise _changed(file) from error
        if found is None:
            raise _changed(file)
        return kind, found
    content = hashlib.sha256()
    for block in _blocks(file):
        content.update(block)
    return kind, content.hexdigest()


def confirm(context: Context) -> None:
    """See that the files are what they were when their hash was taken: what was made of others is not theirs.

    Raises:
        BuildError: they have changed.
    """
    known = context.known
    moved = [file.name for file in context.files if file.source and known and known.moved(file.source)]
    if not moved:
        return
    try:
        same = digest(context.files, known) == context.sha256
    except BuildError:
        same = False
    if not same:
        names = ", ".join(moved[:_SHOWN]) + (" and others" if len(moved) > _SHOWN else "")
        what = f"The files changed while the image was built: {names}."
        raise BuildError(what, next_step="Run the same command again.")


def archive(context: Context) -> Iterator[bytes]:
    """The context and its Dockerfile as a tar archive, block by block; memory stays at a few blocks.

    Same members, same bytes: sorted names, one fixed time, owner 0, modes 0644 and 0755.

    Raises:
        BuildError: a file changed or went away since its size was read.
    """
    for file in context.members:
        yield from member(file)
    yield end_of_archive()


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
    info.mtime = _TIME
    info.mode = 0o755 if file.executable or file.name.endswith("/") else 0o644
    if file.name.endswith("/"):
        info.type = tarfile.DIRTYPE
    elif file.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, file.link, 0o777
    else:
        info.size = file.size
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    if info.size:
        yield from _blocks(file)
        yield b"\0" * (-info.size % _TAR_BLOCK)


def _blocks(file: ContextFile) -> Iterator[bytes]:
    from io import BytesIO

    try:
        stream = file.source.open("rb") if file.source else BytesIO(file.data)
    except FileNotFoundError as error:
        raise _changed(file) from error
    with stream:
        left = file.size
        while left:
            block = stream.read(min(_BLOCK, left))
            if not block:
                raise _changed(file)
            left -= len(block)
            yield block
        if stream.read(1):
            raise _changed(file)


def _changed(file: ContextFile) -> BuildError:
    return BuildError(f"{file.source} changed while it was read.", next_step="Run the same command again.")


def largest(files: Iterable[ContextFile], count: int = 10) -> list[ContextFile]:
    """The *count* largest of *files*, largest first, equal ones by name."""
    real = (file for file in files if not file.name.endswith("/"))
    return sorted(real, key=lambda file: (-file.size, file.name))[:count]
