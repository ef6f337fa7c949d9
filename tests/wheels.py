"""Tiny wheels for the tests of what pip installs."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING
from zipfile import ZipFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["wheel"]


def wheel(
    folder: Path, name: str, version: str, *requires: str, files: Mapping[str, str] | None = None
) -> Path:
    """Write a wheel that holds only its name, its version and its requirements, and *files* by name."""
    info = f"{name}-{version}.dist-info"
    headers = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    title = name.replace("_", "-")
    contents = {
        **(files or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {title}\nVersion: {version}\n{headers}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: hashlib.sha256(text.encode()).digest() for path, text in contents.items()}
    lines = [
        f"{path},sha256={base64.urlsafe_b64encode(d).decode().rstrip('=')}," for path, d in digests.items()
    ]
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with ZipFile(file, "w") as archive:
        for path, text in {**contents, f"{info}/RECORD": "\n".join([*lines, f"{info}/RECORD,,", ""])}.items():
            archive.writestr(path, text)
    return file
