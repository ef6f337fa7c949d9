"""How a task ends: errors become exit codes, and Ctrl-C and SIGTERM let everything be cleaned up first."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from invoke.exceptions import Exit

from azureml_tasks.errors import AzuremlTasksError, SettingsError, Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from sys import UnraisableHookArgs
    from types import FrameType

    from invoke.tasks import Task

__all__ = ["ending_well"]

_INTERRUPTED = 130
_TERMINATED = 143
_BROKEN_PIPE = 141
"""128 + SIGPIPE: what a shell shows of a program whose reader went away, as in `invoke image.context | head`."""

_AGAIN = 0.05
"""Seconds until a signal that was dropped comes again: enough to leave what dropped it."""


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
        from azureml_tasks.cli.collection import spoken_before
        from azureml_tasks.cli.console import spoken

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

    hook = sys.unraisablehook
    sys.unraisablehook = _sending_again(came, hook)
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, first_only) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


def _sending_again(
    came: list[int], otherwise: Callable[[UnraisableHookArgs], Any]
) -> Callable[[UnraisableHookArgs], None]:
    """A hook that sends a signal of *came* again where Python has dropped what was raised for it.

    It drops whatever is raised while it clears an object away, such as a connection that nobody holds any more.
    """

    def lost(unraisable: UnraisableHookArgs) -> None:
        if came and isinstance(unraisable.exc_value, KeyboardInterrupt | Terminated):
            left = threading.Event()
            threading.Thread(target=_send_again, args=(came, left), daemon=True).start()
            left.set()
        else:
            otherwise(unraisable)

    return lost


def _send_again(came: list[int], left: threading.Event) -> None:
    """Send the first of *came* again, once the hook has been *left*, in which Python drops it a second time."""
    left.wait()
    time.sleep(_AGAIN)  # Nothing tells when the hook and what it interrupted have returned.
    number = came[0]
    came.clear()
    signal.pthread_kill(cast("int", threading.main_thread().ident), number)
