"""One member of a build context, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ContextFile"]


@dataclass(frozen=True, kw_only=True)
class ContextFile:
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
