"""The log of a run, as it grows: an append blob that is read on from where it was left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_tasks.acr.http import first_line
from azureml_tasks.acr.uploading import BLOB
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Log"]

_COMPLETE = "complete"
"""The blob's metadata gets this key when nothing more will come (azure-cli, acr/_stream_utils.py)."""


@dataclass(kw_only=True)
class Log:
    """A run's log.

    Args:
        address: gives an address with a fresh signature; "" where there is no log yet.
        line: takes each line as it comes.
        at: bytes that have been read.
        complete: whether its last byte has been read, and nothing more will come.
        fault: why it could not be read the last time; "" where it could.
    """

    address: Callable[[], str]
    line: Callable[[str], None]
    at: int = 0
    complete: bool = False
    fault: str = ""
    _url: str = ""
    _left: bytes = field(default=b"", repr=False)

    def read_on(self) -> None:
        """Hand on what has come since; a fault is noted and no more, since the run goes on without us."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        self.fault = ""
        try:
            self._url = self._url or self.address()
            if self._url:
                self._read()
        except ResourceNotFoundError:
            pass  # Nothing has been written yet.
        except (AzureError, AzuremlTasksError) as error:
            self._url = ""  # Its signature may have expired; the next try asks for another.
            self.fault = first_line(error)

    def _read(self) -> None:
        from azure.storage.blob import BlobClient

        options: dict[str, Any] = {**BLOB, "retry_total": 1}  # It is looked at again anyway.
        with BlobClient.from_blob_url(self._url, **options) as blob:
            about = blob.get_blob_properties()
            ended = any(name.lower() == _COMPLETE for name in about.metadata or {})
            while self.at < about.size:
                block = blob.download_blob(offset=self.at, length=about.size - self.at).readall()
                self.at += len(block)
                self._hand_on(block)
        if ended:
            self._hand_on(b"\n" if self._left else b"")
            self.complete = True

    def _hand_on(self, block: bytes) -> None:
        *whole, self._left = (self._left + block).split(b"\n")
        for line in whole:
            self.line(clean(line.decode(errors="replace").rstrip("\r")))
