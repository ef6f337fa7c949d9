"""Other programs, started with a list of arguments and never through a shell. No other module starts one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_WORDS = 4096  # bytes that are kept of what an attached program says
_LONGEST_LINE = 64 * 1024  # bytes
_PR_SET_PDEATHSIG = 1
_GRACE = 2.0
"""Seconds that a program gets to end after it was asked to. Docker's client 20.10 sometimes never does; an engine
ends a build by itself when its client is gone."""


class Finished(NamedTuple):
    """How a program ended.

    Args:
        code: its exit code.
        stdout: what it printed.
        stderr: what it printed as errors.
    """

    code: int
    stdout: str
    stderr: str


class MissingProgram(Exception):
    """The program is not on PATH; the message is its name."""


class SlowProgram(Exception):
    """The program did not end in time and was ended; the message is its name."""


def find_program(name: str) -> str | None:
    """Return the path of a program on PATH, or None; see `_absolute_folders`."""
    return shutil.which(name, path=_absolute_folders())


def _absolute_folders() -> str:
    """Return PATH without its relative folders: in a project they may hold what anybody has sent to it."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if os.path.isabs(folder))  # noqa: PTH117 -- a text


def _located(argv: Sequence[str]) -> list[str]:
    """Return *argv* with the path of its program.

    Raises:
        MissingProgram: it is not on PATH.
    """
    if program := find_program(argv[0]):
        return [program, *argv[1:]]
    raise MissingProgram(argv[0])


def capture(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    feed: bytes = b"",
    timeout: float | None = None,
) -> Finished:
    """Run *argv* to its end.

    Args:
        argv: the program and its arguments.
        cwd: its working directory; None for ours.
        env: environment variables that differ from ours; None takes one away.
        feed: its whole standard input; none if it is empty.
        timeout: seconds that it may take; None for any time.

    Raises:
        MissingProgram: it is not on PATH.
        SlowProgram: it took longer.
    """
    return capture_all([argv], cwd=cwd, env=env, feed=feed, timeout=timeout)[0]


def capture_all(
    argvs: Sequence[Sequence[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    feed: bytes = b"",
    timeout: float | None = None,
) -> list[Finished]:
    """Run several programs side by side to their ends; see `capture`. If one is missing, the others are ended."""
    pipe, source = subprocess.PIPE, subprocess.PIPE if feed else subprocess.DEVNULL
    with contextlib.ExitStack() as stack:
        children = []
        for argv in argvs:
            try:
                child = subprocess.Popen(
                    _located(argv), cwd=cwd, env=_environment(env), stdin=source, stdout=pipe, stderr=pipe
                )
            except FileNotFoundError as error:
                raise MissingProgram(argv[0]) from error
            children.append(stack.enter_context(child))
            stack.push(lambda kind, _error, _trace, child=child: child.kill() if kind else None)
        return [_finish(child, feed, timeout, argv[0]) for child, argv in zip(children, argvs, strict=True)]


def _environment(changes: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return our environment with *changes*, of which None takes a variable away."""
    environment = {**os.environ, "PATH": _absolute_folders(), **(changes or {})}
    return {name: value for name, value in environment.items() if value is not None}


def _finish(child: subprocess.Popen[bytes], feed: bytes, timeout: float | None, name: str) -> Finished:
    try:
        printed = child.communicate(feed or None, timeout)
    except subprocess.TimeoutExpired as error:
        raise SlowProgram(name) from error
    out, err = (output.decode(errors="replace") for output in printed)
    return Finished(code=child.returncode, stdout=out, stderr=err)


def stream(
    argv: Sequence[str],
    *,
    env: Mapping[str, str | None],
    feed: Iterable[bytes],
    line: Callable[[str], None],
) -> int:
    """Run *argv* and return its exit code; if anything is raised meanwhile, such as by Ctrl-C, end it first.

    It gets a process group of its own, which is ended with it: a plug-in of docker's client outlives the client.

    Args:
        argv: the program and its arguments.
        env: environment variables that differ from ours; None takes one away.
        feed: its standard input, in blocks.
        line: takes each line that it prints, as it comes.

    Raises:
        MissingProgram: it is not on PATH.
    """
    try:
        child = subprocess.Popen(
            _located(argv),
            env=_environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_ends_with_us(),  # noqa: PLW1509 -- one system call, which no thread can hold up
        )
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error
    output = child.stdout
    assert output is not None  # noqa: S101 -- it is a pipe
    try:
        failures: list[BaseException] = []
        feeder = threading.Thread(target=_feed, args=(child, feed, failures), daemon=True)
        feeder.start()
        # A longer line comes in pieces, so that no output can take all memory.
        for printed in iter(partial(output.readline, _LONGEST_LINE), b""):
            line(printed.decode(errors="replace").rstrip("\r\n"))
        code = child.wait()
        feeder.join()
    except BaseException:
        _end(child)
        raise
    finally:
        output.close()
    if failures:
        raise failures[0]
    return code


def hand_over(argv: Sequence[str], *, env: Mapping[str, str | None]) -> int:
    """Run *argv* with our stdin, stdout and stderr and return its exit code; end it if anything is raised meanwhile.

    It stays in our process group: no other may read the terminal. It is killed at once, because docker's client passes
    SIGTERM on to the container, and goes on.

    Args:
        argv: the program and its arguments.
        env: environment variables that differ from ours; None takes one away.

    Raises:
        MissingProgram: it is not on PATH.
    """
    with _terminal_put_back():
        try:
            child = subprocess.Popen(
                _located(argv),
                env=_environment(env),
                preexec_fn=_ends_with_us("SIGKILL"),  # noqa: PLW1509 -- one system call, as in `stream`
            )
        except FileNotFoundError as error:
            raise MissingProgram(argv[0]) from error
        try:
            return child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise


@contextlib.contextmanager
def _terminal_put_back() -> Iterator[None]:
    """Put the terminal's settings back after the block: a program that is ended may leave it without echo."""
    if sys.platform == "win32" or not is_terminal(0):
        yield
        return
    import termios

    settings = termios.tcgetattr(0)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            if termios.tcgetattr(0) != settings:
                termios.tcsetattr(0, termios.TCSADRAIN, settings)


def is_terminal(*descriptors: int) -> bool:
    """Return whether each of *descriptors* of this process is a terminal; one that is closed is none."""
    return all(map(os.isatty, descriptors))


class Attached:
    """A program whose stdin and stdout are a connection; it ends with the connection.

    Args:
        child: the program.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._errors = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def words(self) -> str:
        """Return the end of what it has printed as errors; wait a moment for it to end."""
        self._reader.join(_GRACE)
        return self._errors.decode(errors="replace").strip()

    def _read(self) -> None:
        with self._child as child:
            for line in child.stderr or ():
                self._errors = (self._errors + line)[-_WORDS:]


def attach(argv: Sequence[str], connection: socket.socket) -> Attached:
    """Start *argv* with *connection* as its stdin and stdout; the caller closes its own end.

    It gets no Ctrl-C of the terminal, so that what was started through the connection can be removed by it.

    Raises:
        MissingProgram: it is not on PATH.
    """
    number = connection.fileno()
    try:
        child = subprocess.Popen(
            _located(argv),
            env=_environment(None),
            stdin=number,
            stdout=number,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error
    return Attached(child)


def _ends_with_us(by: str = "SIGTERM") -> Callable[[], object] | None:
    """Return what a child does at its start so that it gets a signal if this process is killed; None without Linux.

    https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    """
    if sys.platform != "linux":
        return None
    import ctypes

    return partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, getattr(signal, by))


def _feed(child: subprocess.Popen[bytes], feed: Iterable[bytes], failures: list[BaseException]) -> None:
    assert child.stdin is not None  # noqa: S101 -- it is a pipe
    try:
        for block in feed:
            child.stdin.write(block)
    except BrokenPipeError:
        pass  # It ended before it had read everything; its exit code says why.
    except BaseException as error:  # noqa: BLE001 -- the thread that waits raises it again
        failures.append(error)
        _signal(child, signal.SIGTERM)
    finally:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the program and everything that it has started."""
    _signal(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_GRACE)
    _signal(child, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has no SIGKILL.
    child.wait()


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the program's process group, or to the program alone on Windows."""
    if not hasattr(os, "killpg"):
        child.terminate()
        return
    with contextlib.suppress(
        ProcessLookupError, PermissionError
    ):  # The group is empty; macOS says the latter.
        os.killpg(child.pid, number)
