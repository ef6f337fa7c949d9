"""Waits before a request to Azure is repeated: bounded, said, and ended at once by a signal.

Azure names seconds or a date in the header Retry-After, and can ask for an hour.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from azureml_tasks import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.pipeline.transport import RequestsTransport

LONGEST = 30.0
"""Seconds of one wait, even if Azure asks for more."""
_WORTH_SAYING = 5.0


def wait(asked: float, say: Callable[[str], None]) -> None:
    """Wait for *asked* seconds, but not longer than `LONGEST`; say so if that is more than a moment.

    Raises:
        KeyboardInterrupt: for SIGINT.
        Terminated: for SIGTERM and SIGHUP.
    """
    seconds = min(asked, LONGEST)
    if seconds >= _WORTH_SAYING:
        say(f"Azure asks to wait for {asked:,.0f} s; trying again in {seconds:.0f} s")
    signals.wait(seconds)


def seconds_asked(headers: Mapping[str, str]) -> float | None:
    """Return for how long an answer with these headers asks to wait; None if it does not say.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after; Azure adds a header in milliseconds.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (milliseconds := _number(headers.get(name, ""))) is not None:
            return milliseconds / 1000
    text = headers.get("retry-after", "")
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError, OSError):
        return None


def _number(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None


def patient_transport(say: Callable[[str], None], **options: float) -> RequestsTransport:
    """Return a transport for the pipelines of Microsoft's libraries, which wait through their transport.

    Args:
        say: takes what a wait is for.
        options: of the transport, such as its timeouts.
    """
    from azure.core.pipeline.transport import RequestsTransport

    class PatientTransport(RequestsTransport):  # type: ignore[misc] # the library loads it by name
        def sleep(self, duration: float) -> None:
            wait(duration, say)

    return PatientTransport(**options)
