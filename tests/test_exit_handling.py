"""How a task ends when it is told to: exit codes, and the cleaning up before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from invoke.exceptions import Exit

from azureml_tasks.cli.exit_handling import exit_on_error
from azureml_tasks.errors import (
    BuildError,
    EngineError,
    RegistryError,
    RemoteBuildError,
    SmokeTestError,
    Terminated,
)
from azureml_tasks.state import runs
from tests.consumers import consumer, environment

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.errors import AzuremlTasksError

WAITING = """\
import sys, time
from invoke.collection import Collection
from invoke.tasks import task
from azureml_tasks.cli.exit_handling import exit_on_error

@task
def wait(c):
    with exit_on_error(""):
        try:
            print("ready", flush=True)
            while True:  # One wait without an end would miss a signal that comes just before it.
                time.sleep(0.1)
        finally:
            print("cleaning", flush=True)
            print("go on" if sys.stdin.readline() else "", flush=True)

ns = Collection(wait)
"""


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "Interrupted"),
        (signal.SIGTERM, 143, "Terminated"),
        (signal.SIGHUP, 129, "Terminated"),
    ],
)
@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_everything_be_cleaned_up(
    number: signal.Signals, code: int, word: str, again: signal.Signals, tmp_path: Path
) -> None:
    """Ctrl-C ends with 130, SIGTERM with 143 and SIGHUP with 129, after every `finally`; a second signal is ignored."""
    child = subprocess.Popen(
        [sys.executable, "-m", "invoke", "wait"],
        cwd=consumer(tmp_path, WAITING),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None

    with child:
        began = child.stdout.readline()
        child.send_signal(number)
        cleaning = child.stdout.readline()
        child.send_signal(again)
        out, err = child.communicate("\n")

    assert ("ready\n", "cleaning\n", "go on\n") == (began, cleaning, out)
    assert (code, f"{word}. Everything that was started has been stopped and removed.\n") == (
        child.returncode,
        err,
    )


def handlers() -> list[object]:
    """Return what handles the three signals."""
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_handlers_are_restored() -> None:
    """What handled the signals before handles them after, however the body ends."""
    before = handlers()

    with exit_on_error("invoke image."):
        during = handlers()
    with pytest.raises(Exit), exit_on_error("invoke image."):
        raise BuildError("broke")

    assert before == handlers()
    assert [True, True, True] == [old != new for old, new in zip(before, during, strict=True)]


def test_sigterm_in_this_process_is_an_exit() -> None:
    """SIGTERM while a body runs raises inside it, and leaves as exit code 143."""
    cleanups: list[str] = []

    def body() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            while True:  # The handler runs between two steps of this.
                pass
        except Terminated:
            cleanups.append("cleaned")
            raise

    with pytest.raises(Exit) as caught, exit_on_error("invoke image."):
        body()

    assert (["cleaned"], 143) == (cleanups, caught.value.code)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(EngineError, 3), (BuildError, 4), (SmokeTestError, 5), (RegistryError, 6), (RemoteBuildError, 7)],
)
def test_each_error_has_its_exit_code(kind: type[AzuremlTasksError], code: int) -> None:
    """An error leaves as Invoke's Exit with its class's code and its whole words."""
    with pytest.raises(Exit) as caught, exit_on_error("invoke image."):
        raise kind("What.", next_step="invoke image.build", said="docker said: no", state="Nothing was done.")

    expected = "What.\n    invoke image.build\n    docker said: no\nNothing was done."
    assert (code, expected) == (caught.value.code, caught.value.message)


def test_words_of_other_programs_stay_as_they_are() -> None:
    """Commands of ours are spelled as a person types them here; a module with the name of a task is not one."""
    said = "No module named 'image.cache'\nTo allow it: invoke image.build --allow-source-builds"
    error = BuildError("What.", next_step="invoke image.check", said=said)
    with pytest.raises(Exit) as caught, exit_on_error("azureml-image "):
        raise error

    expected = [
        *("What.", "    azureml-image check", "    No module named 'image.cache'"),
        "    To allow it: azureml-image build --allow-source-builds",
    ]
    assert expected == str(caught.value.message).splitlines()


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    """What no user can mend is not turned into an exit."""
    with pytest.raises(ZeroDivisionError), exit_on_error("invoke image."):
        _ = 1 // 0


def test_another_thread_is_left_alone() -> None:
    """Outside the main thread, where no handler may be set, a body runs and its errors still become exits."""
    codes: list[int] = []

    def run() -> None:
        try:
            with exit_on_error("invoke image."):
                raise BuildError("broke")
        except Exit as ended:
            codes.append(ended.code)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert [4] == codes


def test_what_could_not_be_removed_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message never says that everything is removed if something is not."""
    monkeypatch.setattr(runs, "left_behind", ["container a", "image b:1"])

    with pytest.raises(Exit), exit_on_error(""):
        raise Terminated(signal.SIGTERM)

    stderr = "Terminated. Not removed: container a, image b:1. The next command of this project removes it.\n"
    assert ("", stderr) == capsys.readouterr()
