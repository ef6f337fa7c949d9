"""A run that is forked off is what a run is that is started: the tests may take the one for the other."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.consumers import consumer, environment
from tests.machine import warm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASKS = """\
import atexit, os, signal, sys, threading
from invoke.collection import Collection
from invoke.tasks import task
from azureml_tasks import image

def late():
    threading.main_thread().join()
    print("from a thread")

@task
def look(c):
    atexit.register(print, "at the end")
    threading.Thread(target=late).start()
    print(os.getcwd(), sys.path[0], sys.argv, sorted(os.environ), sys.stdin.read(), sys.stdout.isatty())
    print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGCHLD))
    print(sorted(name for name in sys.modules if name.startswith("azureml_tasks")), __debug__)

@task
def bug(c):
    os.write(2, b"\\xff")
    sys.stderr.write(repr(sys.exc_info()))
    raise ZeroDivisionError

@task
def killed(c):
    print("before", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

ns = Collection(image, look, bug, killed)
"""
WORDS = {
    "the list": ["--list"],
    "a report": ["image.check", "--json"],
    "an error": ["image.build"],
    "a hand-off": ["--dry", "image.build", "--engine=acr", "--registry=contoso.azurecr.io"],
    "no task": ["nonsense"],
    "its surroundings": ["look"],
    "a signal": ["killed"],
}


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Who is started in the background of a shell cannot be interrupted, and neither can what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("what", WORDS)
def test_it_is_what_a_person_starts(what: str, tmp_path: Path) -> None:
    """Exit code and output, to the byte, and all that a task sees of its process."""
    folder, env = consumer(tmp_path, TASKS), environment(ADDED="it")

    forked = warm.invoke(WORDS[what], folder=folder, env=env)

    assert warm.started(WORDS[what], folder=folder, env=env) == forked


def test_a_bug_ends_with_its_traceback(tmp_path: Path) -> None:
    """Exit code 1, and the last line names it; bytes that are no text come through as they are."""
    done = warm.invoke(["bug"], folder=consumer(tmp_path, TASKS), env=environment())

    assert (1, b"") == (done.code, done.out)
    assert (True, True) == (
        done.err.startswith(b"\xff(None, None, None)Traceback (most recent call last):\n"),
        done.err.endswith(b"\nZeroDivisionError\n"),
    )


def test_a_variable_of_python_s_own_counts(tmp_path: Path) -> None:
    """What Python looks at when it starts asks for a Python that starts."""
    env = environment(PYTHONOPTIMIZE="1")

    done = warm.invoke(["look"], folder=consumer(tmp_path, TASKS), env=env)

    assert (0, True) == (done.code, done.out.endswith(b"] False\nfrom a thread\nat the end\n")), done


def test_runs_beside_each_other_are_apart(tmp_path: Path) -> None:
    """Each has its own folder, its own variables and its own output."""
    folders = [consumer(tmp_path / str(number), TASKS) for number in range(8)]

    def run(folder: Path) -> tuple[int, bytes]:
        done = warm.invoke(["look"], folder=folder, env={**environment(), f"OF_{folder.name}": "1"})
        return done.code, done.out

    with ThreadPoolExecutor() as lanes:
        beside = list(lanes.map(run, folders))

    assert [run(folder) for folder in folders] == beside
    assert len(folders) == len({out for _, out in beside})
