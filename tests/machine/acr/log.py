"""A run's log: an append blob that grows during the run."""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time

from azure.storage.blob import BlobClient

__all__ = ["Log"]

_BLOCK = 4 * 1024 * 1024 - 1


class Log:
    """Appends text from any thread, in order.

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
        """Create the blob and start to append."""
        self._started = time.monotonic()
        self._blob.create_append_blob(headers=_alone())
        self._thread = threading.Thread(target=self._append, name=self.path, daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Write a line of the agent, with the time."""
        now = dt.datetime.now(dt.timezone.utc).strftime("%Y/%m/%d %H:%M:%S")
        self.raw(f"{now} {text}\n")

    def raw(self, text: str) -> None:
        """Write the output of a program, with Azure's line ends."""
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        with self._grown:
            self.text += text
            self._queue.put(text)
            self._grown.notify_all()

    def wait_for(self, text: str, *, seconds: float = 300.0) -> None:
        """Wait until *text* has been written.

        Raises:
            TimeoutError: it was not, within *seconds*.
        """
        with self._grown:
            if not self._grown.wait_for(lambda: text in self.text, timeout=seconds):
                raise TimeoutError(f"{text!r} did not come:\n{self.text}")

    def seconds(self) -> int:
        """Return the seconds since it was opened."""
        return max(1, round(time.monotonic() - self._started))

    def complete(self, status: str) -> None:
        """Append the rest, and mark the blob as complete in its metadata."""
        if self._thread is None:
            self.open()
        self._queue.put(None)
        if self._thread:
            self._thread.join()
        self._blob.set_blob_metadata({"Complete": status}, headers=_alone())

    def _append(self) -> None:
        ended = False
        while not ended:
            texts = [self._queue.get()]
            while not self._queue.empty():
                texts.append(self._queue.get())
            ended = None in texts
            data = "".join(text for text in texts if text is not None).encode()
            for start in range(0, len(data), _BLOCK):
                self._blob.append_block(data[start : start + _BLOCK], headers=_alone())


def _alone() -> dict[str, str]:
    """Return the header of a request that leaves no connection open.

    The emulator closes one that was idle for five seconds, perhaps just as the next text is sent on it.
    """
    return {"Connection": "close"}  # The library adds to it.
