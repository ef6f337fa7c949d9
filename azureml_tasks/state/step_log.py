"""The file that takes every line of a step, for what a terminal folds and an error leaves out."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.state.record_folder import prepare_folder
from azureml_tasks.state.records import BUILD_LOG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from azureml_tasks.state.records import Records


@dataclass
class StepLog:
    """A log that begins with its first line. One that cannot be written stops no step: it ends there.

    Args:
        records: of the project or image, in whose folder it is.
        name: of the file.
    """

    records: Records
    name: str
    _file: TextIO | None = None
    _failed: bool = False

    @property
    def path(self) -> str:
        """The file as messages call it, with its folder; "" if it has no line, or not all."""
        return f"{self.records.name}/{self.name}" if self._file and not self._failed else ""

    def write(self, text: str) -> None:
        """Write *text*, which is cleaned, and a line break."""
        if self._failed:
            return
        try:
            self._file = self._file or self._begin()
            self._file.write(f"{text}\n")
        except (OSError, ValueError):
            self._failed = True

    def _begin(self) -> TextIO:
        """Create the file, and replace what is in its place, such as a link."""
        prepare_folder(self.records)
        path = self.records.folder / self.name
        path.unlink(missing_ok=True)
        return path.open("x", encoding="utf-8", errors="backslashreplace", newline="\n")

    def flush(self) -> None:
        """Let the file have all lines now."""
        try:
            if self._file:
                self._file.flush()
        except (OSError, ValueError):
            self._failed = True

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            if self._file:
                self._file.close()


@contextmanager
def build_log(records: Records) -> Iterator[StepLog]:
    """Yield the log of a build, and close it after the block."""
    log = StepLog(records, BUILD_LOG)
    try:
        yield log
    finally:
        log.close()
