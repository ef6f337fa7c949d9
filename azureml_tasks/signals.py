"""The signal that asked this process to end, for waits that must not miss it.

Python drops an exception that a signal handler raises while an object is being cleared away
(https://docs.python.org/3/reference/datamodel.html#object.__del__). A wait of minutes would then go on, so it asks
here.
"""

from __future__ import annotations

import signal

from azureml_tasks.errors import Terminated

received: list[int] = []
"""Numbers of the signals that were received since the task began."""


def exception_for(number: int) -> BaseException:
    """Return what the signal *number* raises."""
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def raise_received() -> None:
    """Raise what the first signal raises, if one was received and its exception was dropped.

    Raises:
        KeyboardInterrupt: for SIGINT.
        Terminated: for SIGTERM and SIGHUP.
    """
    if received:
        raise exception_for(received[0])
