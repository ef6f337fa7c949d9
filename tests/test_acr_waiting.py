"""Waits before a request to Azure is repeated."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from invoke.exceptions import Exit

from azureml_tasks import signals
from azureml_tasks.cli.exit_handling import exit_on_error
from azureml_tasks.engines.acr.waiting import patient_transport, seconds_asked, wait
from azureml_tasks.engines.finish_call import finish_call


@pytest.fixture(autouse=True)
def _no_signal_afterwards() -> Iterator[None]:
    """Forget the signals of a test."""
    yield
    signals.forget_received()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after-ms": "1500", "retry-after": "3600"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Fri, 99 Xyz 9999999 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_what_a_server_asks_for(headers: dict[str, str], expected: float | None) -> None:
    """Seconds, milliseconds and dates are understood; anything else is as if it were not there."""
    assert expected == seconds_asked(headers)


def test_a_date_to_wait_for() -> None:
    """A date is the time until then."""
    asked = seconds_asked({"retry-after": formatdate(time.time() + 3600, usegmt=True)})

    assert asked is not None
    assert 3500 < asked <= 3600


@pytest.mark.parametrize(
    ("asked", "waited", "messages"),
    [
        (1.0, 1.0, []),
        (20.0, 20.0, ["Azure asks to wait for 20 s; trying again in 20 s"]),
        (3600.0, 30.0, ["Azure asks to wait for 3,600 s; trying again in 30 s"]),
    ],
)
def test_waits_are_bounded_and_said(
    asked: float, waited: float, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No wait is longer than half a minute, and each that is more than a moment is said."""
    waits: list[float] = []
    lines: list[str] = []
    monkeypatch.setattr(signals, "wait", waits.append)

    wait(asked, lines.append)
    patient_transport(lines.append).sleep(asked)

    assert ([waited] * 2, messages * 2) == (waits, lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_in_thread", [False, True])
def test_a_signal_ends_a_wait(*, number: signal.Signals, is_in_thread: bool) -> None:
    """Ctrl-C and SIGTERM end a wait, also in the thread of a request that must not be lost."""
    began = threading.Event()

    def begin(_line: str) -> None:
        began.set()

    def interrupt() -> None:
        began.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    def pause() -> None:
        while True:
            wait(3600.0, begin)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Exit) as caught, exit_on_error("invoke image."):
        finish_call(pause) if is_in_thread else pause()
    thread.join()

    assert 128 + number == caught.value.code


def test_what_ends_a_command_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a signal, waits of what cancels and cleans up are not cut short."""
    slices: list[float] = []
    clock = iter([0.0, 0.0, 1.0])
    monkeypatch.setattr(signals, "received", [signal.SIGINT])
    monkeypatch.setattr(signals, "_acknowledged", [])
    monkeypatch.setattr(time, "sleep", slices.append)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))

    signals.acknowledge()
    signals.wait(0.5)

    assert [0.2] == slices
