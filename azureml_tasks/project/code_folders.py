"""The folders of the code, and where what they hold will be in the image."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class CodeFolders:
    """The folders of the code.

    Args:
        by_name: name below the app's root → path relative to the root of the project. The content of a single folder is
            copied itself, and has the name "". Empty if the image has no code.
    """

    by_name: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_name)

    def source_of(self, path: str) -> str:
        """Return the file or folder that will be at *path* below the app's root; "" if no folder leads there.

        Args:
            path: with "/" between its parts, without "..".

        Returns:
            The path relative to the root of the project; nothing may be there.
        """
        name, _, rest = ("", "", path) if "" in self.by_name else posixpath.normpath(path).partition("/")
        top = self.by_name.get(name)
        return posixpath.normpath(posixpath.join(top, rest)) if top else ""

    def place_of(self, source: str) -> str:
        """Return where *source*, a path below one of the folders, will be below the app's root."""
        places = (
            posixpath.join(name, posixpath.relpath(f"/{source}", f"/{top}"))
            for name, top in self.by_name.items()
            if top == "." or f"{source}/".startswith(f"{top}/")
        )
        return next(places, "")
