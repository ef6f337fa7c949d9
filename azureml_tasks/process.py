"""Other programs, started with a list of arguments and never through a shell. No other module starts one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

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


def capture(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Finished:
    """Run *argv* to its end, without input.

    Args:
        argv: the program and its arguments.
        cwd: its working directory; None for ours.
        env: additional environment variables.

    Raises:
        MissingProgram: it is not on PATH.
    """
    return capture_all([argv], cwd=cwd, env=env)[0]


def capture_all(
    argvs: Sequence[Sequence[str]], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> list[Finished]:
    """Run several programs side by side to their ends; see `capture`. If one is missing, the others are ended."""
    environment, null, pipe = {**os.environ, **(env or {})}, subprocess.DEVNULL, subprocess.PIPE
    with contextlib.ExitStack() as stack:
        children = []
        for argv in argvs:
            try:
                child = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=null, stdout=pipe, stderr=pipe)
            except FileNotFoundError as error:
                raise MissingProgram(argv[0]) from error
            children.append(stack.enter_context(child))
            stack.push(lambda kind, _error, _trace, child=child: child.kill() if kind else None)
        return [_finish(child) for child in children]


def _finish(child: subprocess.Popen[bytes]) -> Finished:
    out, err = (output.decode(errors="replace") for output in child.communicate())
    return Finished(code=child.returncode, stdout=out, stderr=err)


def stream(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    feed: Iterable[bytes],
    line: Callable[[str], None],
) -> int:
    """Run *argv* and return its exit code; if anything is raised meanwhile, such as by Ctrl-C, end it first.

    Args:
        argv: the program and its arguments.
        env: additional environment variables.
        feed: its standard input, in blocks.
        line: takes each line that it prints, as it comes.

    Raises:
        MissingProgram: it is not on PATH.
    """
    try:
        child = subprocess.Popen(
            argv,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError as error:
        raise MissingProgram(argv[0]) from error
    try:
        failures: list[BaseException] = []
        feeder = threading.Thread(target=_feed, args=(child, feed, failures), daemon=True)
        feeder.start()
        for printed in child.stdout or ():
            line(printed.decode(errors="replace").rstrip("\r\n"))
        code = child.wait()
        feeder.join()
    except BaseException:
        _end(child)
        raise
    finally:
        if child.stdout:
            child.stdout.close()
    if failures:
        raise failures[0]
    return code


def _feed(child: subprocess.Popen[bytes], feed: Iterable[bytes], failures: list[BaseException]) -> None:
    assert child.stdin is not None  # noqa: S101 -- it is a pipe
    try:
        for block in feed:
            child.stdin.write(block)
    except BrokenPipeError:
        pass  # It ended before it had read everything; its exit code says why.
    except BaseException as error:  # noqa: BLE001 -- the thread that waits raises it again
        failures.append(error)
        child.terminate()
    finally:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
