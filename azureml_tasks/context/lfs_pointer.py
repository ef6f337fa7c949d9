"""Pointers of Git LFS: the few lines that stand in place of a file which was not pulled.

https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

LARGEST = 1023
"""Bytes: a pointer is smaller than 1024."""
_VERSIONS = (
    b"version https://git-lfs.github.com/spec/v1\n",
    b"version https://hawser.github.com/spec/v1\n",
    b"version http://git-media.io/v/2\n",
)
"""The first lines of pointers; the last two are those of Git LFS before its first release."""


def is_pointer(content: bytes) -> bool:
    """Return whether *content*, that of a whole file, is a pointer."""
    return len(content) <= LARGEST and content.startswith(_VERSIONS) and b"\noid " in content


def pointer_of(sha256: str, size: int) -> bytes:
    """Return the pointer that Git LFS commits for a file.

    Args:
        sha256: of the file, in hexadecimal.
        size: bytes of the file.
    """
    return b"%soid sha256:%s\nsize %d\n" % (_VERSIONS[0], sha256.encode(), size)
