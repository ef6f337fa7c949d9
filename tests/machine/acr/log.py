"""A run's log: an append blob that grows while the run goes, as clients follow it."""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time

from azure.storage.blob import BlobClient

__all__ = ["Log"]

_BLOCK = 4 * 1024 * 1024 - 1


class Log:
    """Takes text from any thread and appends it, in order, in as few blocks as come.

    Args:
        blob: where; it is made by `open()`, so before that a client finds nothing.
        path: its path, for the URL that a client gets.
    """

    def __init__(self, blob: BlobClient, path: str) -> None:
        self.path = path
        self.text = ""
        self._blob = blob
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._grown = threading.Condition()
        self._started = time.monotonic()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Make the blob and begin to append."""
        self._started = time.monotonic()
        self._blob.create_append_blob()
        self._thread = threading.Thread(target=self._append, name=self.path, daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Write a line of the agent's own, with the time."""
        now = dt.datetime.now(dt.timezone.utc).strftime("%Y/%m/%d %H:%M:%S")
        self.raw(f"{now} {text}\n")

    def raw(self, text: str) -> None:
        """Write what a program said; lines end as on Azure."""
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        with self._grown:
            self.text += text
            self._queue.put(text)
            self._grown.notify_all()

    def wait_for(self, text: str, *, seconds: float = 120.0) -> None:
        """Wait until *text* was written.

        Raises:
            TimeoutError: it was not, within *seconds*.
        """
        with self._grown:
            if not self._grown.wait_for(lambda: text in self.text, timeout=seconds):
                raise TimeoutError(f"{text!r} did not come:\n{self.text}")

    def seconds(self) -> int:
        """How long it is open, as its last line says."""
        return max(1, round(time.monotonic() - self._started))

    def complete(self, status: str) -> None:
        """Append what is left and say, in the blob's metadata, that this was all."""
        if self._thread is None:
            self.open()
        self._queue.put(None)
        if self._thread:
            self._thread.join()
        self._blob.set_blob_metadata({"Complete": status})

    def _append(self) -> None:
        ended = False
        while not ended:
            texts = [self._queue.get()]
            while not self._queue.empty():
                texts.append(self._queue.get())
            ended = None in texts
            data = "".join(text for text in texts if text is not None).encode()
            for start in range(0, len(data), _BLOCK):
                self._blob.append_block(data[start : start + _BLOCK])
