"""A signal whose exception Python drops is not lost for a long wait."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from invoke.exceptions import Exit

from azureml_tasks.cli.exit_handling import exit_on_error
from azureml_tasks.signals import delayed, raise_received

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection:
    """An object that is interrupted while it is being cleared away."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        for _ in range(1000):  # The handler runs between two steps of this.
            pass


def interrupted(number: signal.Signals, then: Callable[[], object]) -> int:
    """Return the exit code of a body whose exception is dropped, and which then waits by *then*."""

    def body() -> None:
        Connection(number)
        then()

    with pytest.raises(Exit) as caught, exit_on_error(""):
        body()
    return caught.value.code


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_dropped_exception_is_raised_by_the_wait(number: signal.Signals, code: int) -> None:
    """The wait raises what the signal means, and the command ends with its exit code."""
    assert code == interrupted(number, raise_received)
    raise_received()  # The command has ended, so nothing is raised.


def test_without_a_signal_nothing_is_raised() -> None:
    """A wait that no signal reached goes on, also in a later command of the same process."""
    with exit_on_error(""):
        raise_received()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_waits_until_everything_is_removed(number: signal.Signals, code: int) -> None:
    """A block that removes what was started is not left in the middle, also if it has such a block in it."""
    steps = []

    def body() -> None:
        with delayed():
            with delayed():
                os.kill(os.getpid(), number)
            steps.append("removed")
        steps.append("not reached")

    with pytest.raises(Exit) as caught, exit_on_error(""):
        body()

    assert (code, ["removed"]) == (caught.value.code, steps)


def test_after_such_a_block_a_signal_is_raised_at_once() -> None:
    """The delay ends with the block."""

    def body() -> None:
        with delayed():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    with pytest.raises(Exit) as caught, exit_on_error(""):
        body()

    assert 143 == caught.value.code
