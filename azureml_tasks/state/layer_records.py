"""Which cached layers a project has built, by ID or digest: an image with the right name may be anybody's.

There is one file for each, in the user's state folder, where no file of a project can come. It holds the ID, and its
time is that of the last use.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.state.record_forms import LARGEST_RECORD, LayerFile, read_json
from azureml_tasks.state.user_folder import user_folder
from azureml_tasks.text_file import UnreadableFile, read_bytes
from azureml_tasks.typed_json import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIX = ".json"
_DIGITS = 32


class LayerRecord(NamedTuple):
    """Cached layers that were built here, or pulled here from a repository that the table trusts.

    Args:
        tag: a fingerprint of their inputs.
        id: the engine's ID, or their digest in a registry.
        name: the image reference that keeps them.
        folder: of the project.
        used_at: when a build used them last, seconds since 1970 (UTC).
    """

    tag: str
    id: str
    name: str
    folder: str
    used_at: float = 0.0


class LayerRecords(NamedTuple):
    """What is recorded of one project at one place.

    Args:
        place: the engine's own ID, or `login-server/repository`.
        project: the key of the project.
        folder: of the project.
    """

    place: str
    project: str
    folder: Path

    def read(self, tag: str) -> LayerRecord | None:
        """Return the record of this *tag*; None if there is none or it is damaged."""
        return _read(self._file(tag))

    def all(self) -> list[LayerRecord]:
        """Return every record of the project."""
        return list(filter(None, map(_read, _files(self._home))))

    def write(self, tag: str, image_id: str, name: str) -> str:
        """Record cached layers that are used now; return why that is not possible, "" if it is."""
        file = self._file(tag)
        record = LayerFile(id=image_id, name=name, folder=os.path.realpath(self.folder))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(encode(record)))
        except (OSError, UnicodeEncodeError) as error:
            return str(error)
        return ""

    def forget(self, tag: str) -> None:
        """Forget cached layers that were removed."""
        with suppress(OSError):
            self._file(tag).unlink(missing_ok=True)

    def of_gone_projects(self) -> Iterator[tuple[LayerRecords, LayerRecord]]:
        """Yield what is recorded at this place of projects whose folder does not exist any more."""
        with suppress(OSError):
            for home in self._place.iterdir():
                records = self._replace(project=home.name)
                for record in records.all():
                    if not os.path.lexists(record.folder):
                        yield records, record

    @property
    def _place(self) -> Path:
        return user_folder() / "layers" / hashlib.sha256(self.place.encode()).hexdigest()[:_DIGITS]

    @property
    def _home(self) -> Path:
        return self._place / self.project

    def _file(self, tag: str) -> Path:
        return self._home / f"{tag}{_SUFFIX}"


def _files(home: Path) -> list[Path]:
    try:
        return sorted(path for path in home.iterdir() if path.suffix == _SUFFIX)
    except OSError:
        return []


def _read(file: Path) -> LayerRecord | None:
    try:
        record, used_at = decode(LayerFile, read_json(read_bytes(file, LARGEST_RECORD))), file.stat().st_mtime
    except (OSError, UnreadableFile, ValueError):  # Another shape is a ValueError, too.
        return None
    return LayerRecord(
        tag=file.name.removesuffix(_SUFFIX),
        id=record.id,
        name=record.name,
        folder=record.folder,
        used_at=used_at,
    )
