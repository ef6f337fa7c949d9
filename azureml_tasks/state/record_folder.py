"""The folder of records, and how a record of any shape is read and written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from azureml_tasks.atomic_write import write_atomically
from azureml_tasks.errors import BuildError
from azureml_tasks.plain_text import shell_join
from azureml_tasks.state.record_forms import LARGEST_RECORD, read_json
from azureml_tasks.text_file import UnreadableFile, read_bytes
from azureml_tasks.typed_json import WrongShape, decode

if TYPE_CHECKING:
    from pathlib import Path

RecordT = TypeVar("RecordT")
FOLDER = ".azureml-image"


class RecordFolder(NamedTuple):
    """The folder with the records of one project, or of one of its images.

    Args:
        folder: the project's `.azureml-image`, or what takes its place; for an image its folder in that.
        image: which of the table's images; "" if the table itself is the image.
    """

    folder: Path
    image: str = ""

    @property
    def home(self) -> Path:
        """The project's `.azureml-image`, or what takes its place."""
        return self.folder.parent if self.image else self.folder

    @property
    def name(self) -> str:
        """The folder as messages call it: its path in the current folder, else in the project, else as it is."""
        if self.home.name != FOLDER:
            return str(self.folder)
        return _from_here(self.folder) or (f"{FOLDER}/{self.image}" if self.image else FOLDER)

    def read_record(self, name: str, shape: type[RecordT]) -> RecordT | None:
        """Return the record of this *name*; None if it does not exist.

        Raises:
            BuildError: it is damaged, or another version of this package has written it.
            PermissionError: this user cannot read it.
        """
        path = self.folder / name
        try:
            record = read_json(read_bytes(path, LARGEST_RECORD))
        except FileNotFoundError:
            return None
        except UnreadableFile as error:
            if isinstance(error.__cause__, PermissionError):
                raise error.__cause__ from None  # It is another user's, and not damaged; see `machine_error`.
            raise self.unreadable(path, error) from error
        except ValueError as error:
            raise self.damaged(path, str(error)) from error
        if not isinstance(record, dict):
            raise self.damaged(path, "it is not an object")
        try:
            return decode(shape, record)
        except WrongShape as error:
            raise self.damaged(path, str(error)) from error

    def write_record(self, name: str, record: dict[str, Any]) -> Path:
        """Write the record of this *name*, and return its path."""
        return self.write_content(name, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def write_content(self, name: str, content: str | bytes) -> Path:
        """Write the file of this *name*, completely or not at all, and return its path."""
        prepare_folder(self)
        write_atomically(self.folder / name, content)
        return self.folder / name

    def damaged(self, path: Path, why: str) -> BuildError:
        """Return the error of a record with wrong content; *why* is a clause."""
        return self.unreadable(path, UnreadableFile(f"cannot be read: {why}"))

    def unreadable(self, path: Path, error: UnreadableFile) -> BuildError:
        """Return the error of a record that cannot be read."""
        what = f"The record {self.name}/{path.name} {error.why}."
        words = shell_join([_from_here(self.folder) or str(self.folder)])
        return BuildError(what, next_step=f"rm -r {words}\nthen: invoke image.build")

    def remove(self) -> None:
        """Remove the folder with all records, if there is one.

        Raises:
            OSError: something in it cannot be removed.
        """
        if os.path.lexists(self.folder):
            shutil.rmtree(self.folder)


def _from_here(folder: Path) -> str:
    """Return the path of *folder* relative to the current folder; "" if it is not in that."""
    path, here = os.path.realpath(folder), os.path.realpath(os.curdir)
    relative = path.removeprefix(here.rstrip(os.sep) + os.sep)
    return relative.replace(os.sep, "/") if relative != path else ""


def prepare_folder(records: RecordFolder) -> None:
    """Make the folder of *records* if it is not there, with a file that lets git ignore it.

    Raises:
        OSError: it cannot be made.
    """
    records.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError), (records.home / ".gitignore").open("x") as ignore:
        ignore.write("*\n")
