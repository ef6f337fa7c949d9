"""What lock files of every kind are translated into: requirements with hashes, and the indexes that have them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ALGORITHMS = ("sha256", "sha384", "sha512")
"""The hashes that pip takes: https://pip.pypa.io/en/stable/topics/secure-installs/#hash-checking-mode"""
# Lock files write out the address of pip's default index and of its files, so they are compared with these.
_PYPI = ("pypi.org", "pypi.python.org")
_PYPI_FILES = "files.pythonhosted.org"
"""PyPI, as lock files write it: pip's default index. A lock file that names it must not override the index that a base
or a run configures, such as a mirror: https://pip.pypa.io/en/stable/cli/pip_install/#cmdoption-i."""


class Selection(NamedTuple):
    """What the table takes from a lock file.

    Args:
        project: normalized name of the project, which is never installed; "" if it has none.
        extras: normalized names.
        groups: normalized names of dependency groups.
        code: folders whose code is copied, relative to the root.
        platform: of the image, such as `linux/amd64`.
        names_indexes: whether the indexes of the lock file are used; with a pip.conf of the run, that names them.
    """

    project: str = ""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    platform: str = "linux/amd64"
    names_indexes: bool = True


def is_copied(folder: str, selection: Selection) -> bool:
    """Return whether *folder*, relative to the root, is copied as code: whole, or a folder in it."""
    parts = PurePosixPath(folder)
    return any(
        parts.is_relative_to(code) or PurePosixPath(code).is_relative_to(parts) for code in selection.code
    )


def hash_options(hashes: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return pip's options for the hashes of several files, sorted, each once; empty if pip takes none of them."""
    known = {
        f"{name}:{value}"
        for each in hashes
        for name, value in each.items()
        if name in _ALGORITHMS and value.isalnum()  # A line break would begin a line of its own.
    }
    return tuple(f"--hash={text}" for text in sorted(known))


def is_pypi(index: str) -> bool:
    """Return whether *index* is PyPI, which pip uses unless the base or the run configures another index."""
    return _host(index) in _PYPI


def is_file_of_pypi(url: str) -> bool:
    """Return whether *url* is a file on PyPI."""
    return _host(url) == _PYPI_FILES


def lock_text(path: str, requirements: Iterable[str], indexes: Iterable[str]) -> str:
    """Return the requirements file for a lock file.

    Args:
        path: of the lock file.
        requirements: lines with hashes, in their order.
        indexes: that have packages which PyPI has not; with hashes, pip takes only the files of the lock from them.
    """
    options = [f"--extra-index-url {index}" for index in sorted(set(indexes))]
    return "".join(f"{line}\n" for line in (f"# {path}", *options, *requirements))


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
