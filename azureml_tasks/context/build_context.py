"""`Plan` → the build context: what is in it, and its hash."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.context_file import ContextFile, blocks, changed
from azureml_tasks.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from azureml_tasks.context.file_hashes import FileHashes

__all__ = ["BuildContext", "confirm", "contents", "contents_of", "digest", "digests", "largest", "summed"]

_SHOWN = 3


class BuildContext(NamedTuple):
    """A build context: what is in it, and what names it.

    Args:
        files: its members, sorted.
        dockerfile: the text.
        sha256: over names, executable bits and contents of the members, in hexadecimal.
        parts: the same over the members of each folder at the top of the whole: `code`, `model`, `python`.
        seen: what the members of the whole were as they were hashed, see `contents_of`.
        known: the hashes of the files, by which a change since is seen.
    """

    files: tuple[ContextFile, ...]
    dockerfile: str
    sha256: str
    parts: Mapping[str, str] = MappingProxyType({})
    seen: Mapping[str, str] = MappingProxyType({})
    known: FileHashes | None = None

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
    def file_count(self) -> int:
        """Files and links, without folders."""
        return sum(not file.name.endswith("/") for file in self.files)

    @property
    def counted(self) -> str:
        """How many those are, such as `204 files`."""
        return f"{self.file_count} file{'' if self.file_count == 1 else 's'}"


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
    return summed(contents_of(files, known))


def summed(seen: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The same of members as `contents_of` says them, in their order."""
    total = hashlib.sha256()
    parts: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    for name, said in seen.items():
        kind, _, content = said.partition("-")
        line = f"{kind} {content} ".encode() + name.encode() + b"\0"
        total.update(line)
        parts[name.partition("/")[0]].update(line)
    return total.hexdigest(), {name: part.hexdigest() for name, part in parts.items()}


def contents_of(files: Iterable[ContextFile], known: FileHashes | None = None) -> dict[str, str]:
    """What each member is, by its name: its kind and the SHA-256 of its content or link, in one word.

    Args:
        files: members, sorted.
        known: the hashes of files that need not be read again.

    Raises:
        BuildError: a file changed or went away meanwhile.
    """
    return {file.name: "-".join(_content_of(file, known)) for file in files}


def contents(context: BuildContext) -> dict[str, str]:
    """The same of the members of *context*."""
    if not context.seen:
        return contents_of(context.files, context.known)
    return {file.name: context.seen[file.name] for file in context.files}


def _content_of(file: ContextFile, known: FileHashes | None) -> tuple[str, str]:
    """The kind of a member, and the SHA-256 of its content or link, "-" for a folder."""
    if file.name.endswith("/"):
        return "folder", "-"
    if file.link:
        return "link", hashlib.sha256(file.link.encode()).hexdigest()
    kind = "program" if file.executable else "file"
    if file.source and known:
        try:
            found = known.of(file.source, file.size)
        except FileNotFoundError as error:
            raise changed(file) from error
        if found is None:
            raise changed(file)
        return kind, found
    content = hashlib.sha256()
    for block in blocks(file):
        content.update(block)
    return kind, content.hexdigest()


def confirm(context: BuildContext) -> None:
    """See that the files are what they were when their hashes were taken: what was made of others is not theirs.

    Raises:
        BuildError: they have changed.
    """
    known = context.known
    moved = [file for file in context.files if file.source and known and known.moved(file.source)]
    if not moved:
        return
    try:
        same = contents_of(moved, known).items() <= context.seen.items()
    except BuildError:
        same = False
    if not same:
        names = ", ".join(file.name for file in moved[:_SHOWN]) + (
            " and others" if len(moved) > _SHOWN else ""
        )
        what = f"The files changed while the image was built: {names}."
        raise BuildError(what, next_step="Run the same command again.")


def largest(files: Iterable[ContextFile], count: int = 10) -> list[ContextFile]:
    """The *count* largest of *files*, largest first, equal ones by name."""
    real = (file for file in files if not file.name.endswith("/"))
    return sorted(real, key=lambda file: (-file.size, file.name))[:count]
