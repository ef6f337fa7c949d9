"""How a task ends: errors become exit codes, and signals let everything be cleaned up first."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from azureml_tasks.errors import AzuremlTasksError, Terminated, machine_error
from azureml_tasks.signals import forget_received, receive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

_BY_SIGNAL = 128
"""A shell shows a program that a signal ended as this number plus the signal's."""
_BROKEN_PIPE = _BY_SIGNAL + 13
"""As for SIGPIPE: the reader of our output went away, as in `invoke image.context | head`."""


@dataclass
class Messages:
    """How the messages of a task are spelled; the body of the task replaces it as soon as it knows its flags.

    Args:
        spell: returns a text with our tasks as commands to paste.
        project: folder of the project, if it is known.
    """

    spell: Callable[[str], str]
    project: Path | None = None


@contextmanager
def exit_on_error(task_prefix: str) -> Iterator[Messages]:
    """Run a task's body; an error that a user can act on leaves as Invoke's `Exit`, without a traceback.

    Args:
        task_prefix: what a person types before the name of a task, for the commands in the message.
    """
    messages = Messages(spell=lambda text: _spelled(text, task_prefix))
    try:
        _replace_closed_streams()
        with _signals_as_exceptions():
            yield messages
    except AzuremlTasksError as error:
        raise _exit(error, messages) from error
    except BrokenPipeError:
        raise Exit("", _BROKEN_PIPE) from None
    except OSError as error:
        raise _exit(machine_error(error), messages) from error
    except KeyboardInterrupt:
        _say_stopped("Interrupted")
        raise Exit("", _BY_SIGNAL + signal.SIGINT) from None
    except Terminated as error:
        _say_stopped("Terminated")
        raise Exit("", _BY_SIGNAL + error.signal_number) from None


def _exit(error: AzuremlTasksError, messages: Messages) -> Exit:
    if messages.project:
        error.name_files_from_here(messages.project)
    error.spell(messages.spell)
    _annotate(error, messages)
    return Exit(_painted(str(error)), error.exit_code)


# `invoke --list` imports this module, and needs none of these.


def _annotate(error: AzuremlTasksError, messages: Messages) -> None:
    from azureml_tasks.cli.ci_annotations import annotate, annotations_of

    annotate(annotations_of(error, messages.project))


def _painted(text: str) -> str:
    """Return a message with its first line in red, if stderr shows colours: Invoke prints it there."""
    from azureml_tasks.cli.colour import painted

    first, end, rest = text.partition("\n")
    return painted(first, "bad", sys.stderr) + end + rest


def _spelled(text: str, task_prefix: str) -> str:
    from azureml_tasks.cli.console import spell_tasks

    return spell_tasks(text, task_prefix)


def _replace_closed_streams() -> None:
    from azureml_tasks.cli.streams import replace_closed_streams

    replace_closed_streams()


def _say_stopped(how: str) -> None:
    """Say what became of what was started; a terminal that was closed, as SIGHUP says, cannot be written."""
    from azureml_tasks.cli.streams import write  # `invoke --list` needs neither.
    from azureml_tasks.state.runs import left_behind

    rest = "Everything that was started has been stopped and removed."
    if left_behind:
        rest = f"Not removed: {', '.join(left_behind)}. The next command of this project removes it."
    with suppress(OSError):
        write(sys.stderr, f"{how}. {rest}\n")


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Raise an exception for SIGINT, SIGTERM and SIGHUP, so that every `finally` runs; ignore further signals.

    Windows has no SIGHUP. A signal that is ignored already, as `nohup` ignores SIGHUP, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs signal handlers in the main thread alone.
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before: dict[int, Any] = {
        number: handler for number in numbers if (handler := signal.getsignal(number)) != signal.SIG_IGN
    }

    def raise_once(number: int, _frame: FrameType | None) -> None:
        receive(number)

    forget_received()
    for number in before:
        signal.signal(number, raise_once)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        forget_received()  # What this process does later is no part of this command.
