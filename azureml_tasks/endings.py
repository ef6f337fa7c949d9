"""How a task ends: errors become exit codes, and Ctrl-C and SIGTERM let everything be cleaned up first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from azureml_tasks.errors import AzuremlTasksError, SettingsError, Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from invoke.tasks import Task

__all__ = ["ending_well"]

_INTERRUPTED = 130
_TERMINATED = 143
_BROKEN_PIPE = 141
"""128 + SIGPIPE: what a shell shows of a program whose reader went away, as in `invoke image.context | head`."""


@contextmanager
def ending_well(task: Task[Any], project: str | None = None) -> Iterator[None]:
    """Run the body of *task*; whatever a user can mend leaves as Invoke's `Exit`, without a traceback.

    Args:
        task: what runs.
        project: its flag, which can tell by which name it is called.
    """
    try:
        with _signals_as_exceptions():
            yield
    except AzuremlTasksError as error:
        from azureml_tasks.invocation import spoken_before
        from azureml_tasks.terminal import spoken

        raise Exit(spoken(str(error), spoken_before(task, project)), error.exit_code) from error
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Nothing more can be said there.
        raise Exit("", _BROKEN_PIPE) from None
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise Exit(
            f"{what}\n    Look at its permissions, and at the disk's free space.", SettingsError.exit_code
        ) from error
    except KeyboardInterrupt:
        raise Exit("Interrupted; what was started is stopped and removed.", _INTERRUPTED) from None
    except Terminated:
        raise Exit("Terminated; what was started is stopped and removed.", _TERMINATED) from None


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """SIGTERM raises, as SIGINT does, so that every `finally` runs; a second signal does not cut that short."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread may, and can, be interrupted.
        return
    came: list[int] = []

    def first_only(number: int, frame: FrameType | None) -> None:
        del frame
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, first_only) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
