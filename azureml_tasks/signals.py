"""The signal that asked this process to end, for waits that must not miss it.

Python drops an exception that a signal handler raises while an object is being cleared away
(https://docs.python.org/3/reference/datamodel.html#object.__del__). A wait of minutes would then go on, so it asks
here.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azureml_tasks.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator

received: list[int] = []
"""Numbers of the signals that were received since the task began."""
_delays: list[list[int]] = []
"""For each block of `delayed` that runs now, the first signal that was received in it."""
_acknowledged: list[int] = []
_SLICE = 0.2
"""Seconds after which a wait asks for a signal."""


def forget_received() -> None:
    """Forget the signals of an earlier task of this process."""
    received.clear()
    _acknowledged.clear()


def acknowledge() -> None:
    """Note that what follows ends the command, so that its own waits are not cut short by the same signal."""
    _acknowledged[:] = received


def exception_for(number: int) -> BaseException:
    """Return what the signal *number* raises."""
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def receive(number: int) -> None:
    """Note the signal *number* and raise what it means; the first one only, and not in a block of `delayed`.

    Raises:
        KeyboardInterrupt: for SIGINT.
        Terminated: for SIGTERM and SIGHUP.
    """
    received.append(number)
    if len(received) > 1:
        return
    if not _delays:
        raise exception_for(number)
    _delays[0].append(number)


@contextmanager
def delayed() -> Iterator[None]:
    """Run the block to its end before a signal that arrives meanwhile raises its exception.

    For blocks that remove what was started: an exception in the middle would leave the rest.

    Raises:
        KeyboardInterrupt: for SIGINT.
        Terminated: for SIGTERM and SIGHUP.
    """
    waiting: list[int] = []
    _delays.append(waiting)
    try:
        yield
    finally:
        _delays.pop()
        if waiting:
            raise exception_for(waiting[0])


def raise_received() -> None:
    """Raise what the first signal raises, if one was received and its exception was dropped.

    Raises:
        KeyboardInterrupt: for SIGINT.
        Terminated: for SIGTERM and SIGHUP.
    """
    if received and not _acknowledged and not _delays:
        raise exception_for(received[0])


def wait(seconds: float) -> None:
    """Wait, in any thread, for *seconds* or until a signal asks this process to end.

    Python runs signal handlers in the main thread alone, so `time.sleep` in another thread would not end.

    Raises:
        KeyboardInterrupt: for SIGINT.
        Terminated: for SIGTERM and SIGHUP.
    """
    end = time.monotonic() + seconds
    raise_received()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE))  # The pause itself, in slices: other threads get no signal.
        raise_received()
