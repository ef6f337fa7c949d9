"""The build context: the files that a builder gets, and the hashes that name them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.context_file import ContextFile, blocks, changed
from azureml_tasks.errors import BuildError
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from azureml_tasks.context.file_hashes import FileHashes

IGNORE_FILE = ".dockerignore"
"""The file by which docker and its engine leave files out of a build context."""
_SHOWN = 3


class BuildContext(NamedTuple):
    """A build context.

    Args:
        files: its members, sorted by name.
        dockerfile: the text of the Dockerfile.
        sha256: over names, executable bits and contents of the whole image's members, in hexadecimal.
        parts: the same over the members of each top folder: `code`, `model`, `python`.
        contents: what each member of the whole image was when it was hashed, by name, see `read_contents`.
        hashes: show which files may have changed since.
        own_name: the path of the project's own Dockerfile, which can be one of *files*; "" for a generated one.
    """

    files: tuple[ContextFile, ...]
    dockerfile: str
    sha256: str
    parts: Mapping[str, str] = MappingProxyType({})
    contents: Mapping[str, str] = MappingProxyType({})
    hashes: FileHashes | None = None
    own_name: str = ""

    @property
    def has_hash_argument(self) -> bool:
        """Whether the Dockerfile has the argument CONTEXT_SHA256: builders warn of one that it does not have."""
        return not self.own_name and "ARG CONTEXT_SHA256" in self.dockerfile

    @property
    def dockerfile_name(self) -> str:
        """The name of the Dockerfile in the archive."""
        return self.own_name or "Dockerfile"

    @property
    def members(self) -> tuple[ContextFile, ...]:
        """The Dockerfile, then the files: the members of its archive.

        If the project leaves its own Dockerfile out, a `.dockerignore` tells the engine to do so once it has read it,
        as docker's client does.
        """
        dockerfile = _text_file(self.dockerfile_name, self.dockerfile)
        if not self.own_name:
            return (dockerfile, *self.files)
        names = {file.name for file in self.files}
        ignored = names.isdisjoint({self.own_name, IGNORE_FILE})
        ignoring = [_text_file(IGNORE_FILE, f"{self.own_name}\n{IGNORE_FILE}\n")] if ignored else []
        return (dockerfile, *ignoring, *(file for file in self.files if file.name != self.own_name))

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
        """The count for people, such as `204 files`."""
        return f"{self.file_count:,} file{'' if self.file_count == 1 else 's'}"

    @property
    def summary(self) -> str:
        """Count, size and hash for people, such as `204 files, 1.2 MB, sha256 …`."""
        return f"{self.counted}, {size_text(self.size)}, sha256 {self.sha256}"


def new_context(
    files: tuple[ContextFile, ...],
    dockerfile: str,
    hashes: FileHashes | None = None,
    *,
    own_name: str = "",
) -> BuildContext:
    """Return the build context of an image, with the contents of *files* read and hashed.

    Args:
        files: members, sorted by name.
        dockerfile: the text of the Dockerfile.
        hashes: spare files that have not changed from being read again.
        own_name: the path of the project's own Dockerfile, which is hashed with the files; "" for a generated one.

    Raises:
        BuildError: a file is being changed or has gone.
    """
    hashed = files
    if own_name and own_name not in {file.name for file in files}:
        hashed = tuple(sorted((*files, _text_file(own_name, dockerfile))))
    contents = read_contents(hashed, hashes)
    parts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, content in contents.items():
        parts[name.partition("/")[0]][name] = content
    return BuildContext(
        files=files,
        dockerfile=dockerfile,
        sha256=digest_of_contents(contents),
        parts={part: digest_of_contents(members) for part, members in parts.items()},
        contents=contents,
        hashes=hashes,
        own_name=own_name,
    )


def _text_file(name: str, text: str) -> ContextFile:
    content = text.encode()
    return ContextFile(name=name, data=content, size=len(content))


def digest(files: Iterable[ContextFile], hashes: FileHashes | None = None) -> str:
    """Return the SHA-256 over names, executable bits and contents of *files*, in hexadecimal.

    Each member is one line: its kind, the SHA-256 of its content, and its name, which ends in NUL.

    Args:
        files: members, sorted by name.
        hashes: spare files that have not changed from being read again.

    Raises:
        BuildError: a file is being changed or has gone.
    """
    return digest_of_contents(read_contents(files, hashes))


def digest_of_contents(contents: Mapping[str, str]) -> str:
    """Return the same for members whose *contents* were read, see `read_contents`."""
    lines = "".join([f"{content} {name}\0" for name, content in contents.items()])
    return hashlib.sha256(lines.encode()).hexdigest()


def read_contents(files: Iterable[ContextFile], hashes: FileHashes | None = None) -> dict[str, str]:
    """Return the kind of each member and the SHA-256 of its content, such as `file 9f86d0…`, by name.

    The kinds are `file`, `program`, `link`, whose content is its target, and `folder`, which has `-` for a hash.

    Args:
        files: members.
        hashes: spare files that have not changed from being read again.

    Raises:
        BuildError: a file is being changed or has gone.
    """
    return {file.name: _content(file, hashes) for file in files}


def _content(file: ContextFile, hashes: FileHashes | None) -> str:
    if file.name.endswith("/"):
        return "folder -"
    if file.link:
        return f"link {hashlib.sha256(file.link.encode()).hexdigest()}"
    return f"{'program' if file.executable else 'file'} {file.sha256 or _sha256(file, hashes)}"


def _sha256(file: ContextFile, hashes: FileHashes | None) -> str:
    if file.source and hashes:
        try:
            sha256 = hashes.sha256(file.source, file.size)
        except FileNotFoundError as error:
            raise changed(file.source) from error
        if sha256 is None:
            raise changed(file.source)
        return sha256
    total = hashlib.sha256()
    for block in blocks(file):
        total.update(block)
    return total.hexdigest()


def confirm(context: BuildContext) -> None:
    """Check that the files still have the contents that were hashed, so that the image is what its labels say.

    Raises:
        BuildError: they have changed.
    """
    changed_files = [file.name for file in context.files if file.source and _has_changed(file, context)]
    if changed_files:
        more = " and others" if len(changed_files) > _SHOWN else ""
        names = ", ".join(changed_files[:_SHOWN]) + more
        what = f"The files changed while the image was built: {names}."
        raise BuildError(what, next_step="Run the same command again.")


def _has_changed(file: ContextFile, context: BuildContext) -> bool:
    if not context.hashes or not context.hashes.may_have_changed(file.source):
        return False
    try:
        return _content(file._replace(sha256=""), context.hashes) != context.contents[file.name]
    except BuildError:
        return True


def is_added(file: ContextFile) -> bool:
    """Return whether azureml-tasks writes *file* itself, as it does the script that installs packages."""
    return not (file.source or file.link or file.name.endswith("/"))


def largest(files: Iterable[ContextFile], count: int = 10) -> list[ContextFile]:
    """Return the *count* largest of *files* that are the project's, the largest first, those of one size by name."""
    copied = (file for file in files if file.source or file.link)
    return sorted(copied, key=lambda file: (-file.size, file.name))[:count]
