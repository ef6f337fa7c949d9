"""The secret files of a task's volumes, written as the agent does."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from tests.machine.acr.shell import Shell

__all__ = ["BadSecretError", "fill"]

_SECONDS = 60.0


class BadSecretError(Exception):
    """A secret is not base64, with the agent's message."""


def fill(name: str, files: Mapping[str, str], shell: Shell, volume: Path) -> None:
    """Write the files of a volume.

    They are written into the source's folder first, where later steps and builds see them too, and by a
    shell, which replaces `$` and backquotes in them.

    Args:
        name: the volume's.
        files: file -> secret in base64.
        shell: runs in the source's folder.
        volume: the folder that is the volume.

    Raises:
        BadSecretError: a secret is not base64.
    """
    folder = shell.folder / name
    folder.mkdir()
    volume.mkdir(parents=True)
    for file, value in files.items():
        shell.run(f"cat >> {name}/{file} <<EOL\n{_decoded(value)}\nEOL", _ignore, seconds=_SECONDS)
        (volume / file).write_bytes((folder / file).read_bytes())


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        words = "failed to decode Base64 value. please make sure value provided is Base64 encoded"
        raise BadSecretError(words) from None


def _ignore(_text: str) -> None:
    """Ignore output: the agent does not log it."""
