"""`invoke` without the wait for Python's own imports: each run is forked off a process that has them behind it.

Like `python -m invoke` it has a process of its own, with its own folder, environment and output, whose exit
code is Python's; our package is imported anew in each, so that its imports are tried in the order of a real run.
"""

from __future__ import annotations

import atexit
import compileall
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Done", "invoke", "started"]

_OURS = Path(__file__).parents[2] / "azureml_tasks"
_IMPORTED = (
    *("dependency_groups", "docker", "invoke.main", "packaging.requirements", "requests", "tomli", "tqdm"),
    *("azure.core.pipeline.policies", "azure.core.rest", "azure.identity", "azure.storage.blob"),
)
"""What our commands import and have not written."""

_OF_PYTHON = ("LANG", "LC_", "MALLOC_", "PYTHON", "TQDM_", "TZ")
"""Variables that count while Python starts or a module is imported."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended: its exit code, as `subprocess` has it, and what it printed."""

    code: int
    out: bytes
    err: bytes


def invoke(words: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> Done:
    """Run `invoke` with *words* in *folder* to its end, with nothing to read and *env* alone as its environment."""
    if not hasattr(os, "fork") or _of_python(env) != _of_python(os.environ):
        return started(words, folder=folder, env=env)
    with ExitStack() as stack:
        request = stack.enter_context(tempfile.TemporaryFile())
        request.write(json.dumps([[*words], str(folder), {**env}]).encode())
        request.flush()
        pipes = [os.pipe() for _ in range(3)]
        read = [stack.enter_context(os.fdopen(ours, "rb", buffering=0)) for ours, _ in pipes]
        try:
            _server().send([request.fileno(), *(theirs for _, theirs in pipes)])
        finally:
            for _, theirs in pipes:
                os.close(theirs)
        out, err, code = _all_of([one.fileno() for one in read])
    return Done(code=int(code), out=out, err=err)


def started(words: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> Done:
    """The same by `python -m invoke`, as a person starts it."""
    command = [sys.executable, "-m", "invoke", *words]
    done = subprocess.run(
        command, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def _of_python(env: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in env.items() if name.startswith(_OF_PYTHON)}


def _all_of(pipes: Sequence[int]) -> list[bytes]:
    """What comes through each of *pipes* until nobody can write into it any more."""
    found = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                part = os.read(key.fd, 65536)
                found[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
    return list(found.values())


@dataclass(frozen=True, kw_only=True)
class _Server:
    """The process that forks; it ends with the last that could ask it for something."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, files: Sequence[int]) -> None:
        """Ask for a run: what is wanted, and where output and exit code go."""
        with self.lock:
            socket.send_fds(self.channel, [b"r"], files)

    def end(self) -> None:
        """Let it end."""
        self.channel.close()
        self.process.wait()


@functools.cache
def _server() -> _Server:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    server = _Server(process=process, channel=ours)
    atexit.register(server.end)
    return server


def _prepare() -> None:
    """Import what others have written, and translate what we have, which is imported in each run."""
    compileall.compile_dir(str(_OURS), quiet=2)
    for name in _IMPORTED:
        with suppress(ImportError):  # The hand-off's are an extra.
            importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads cannot be forked"
    gc.freeze()  # What is never looked at stays one copy for all.


def _serve(channel: socket.socket) -> bool:
    """Fork a process for each request; whether this is one of them, and shall be Invoke."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the commands.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for those that wait for the commands.
    while True:
        word, files, _, _ = socket.recv_fds(channel, 1, 4)
        if not word:
            return False
        if os.fork() == 0:
            channel.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _carried_out(*files)
        for file in files:
            os.close(file)


def _carried_out(request: int, out: int, err: int, code: int) -> bool:
    """Fork once more and wait for the end of that; False here, and True there."""
    child = os.fork()
    if child == 0:
        os.close(code)
        _become(request, out, err)
        return True
    for file in (request, out, err):
        os.close(file)
    _, status = os.waitpid(child, 0)
    os.write(code, str(os.waitstatus_to_exitcode(status)).encode())
    return False


def _become(request: int, out: int, err: int) -> None:
    """Be in the folder, with the arguments, the environment and the output that were asked for."""
    with os.fdopen(request, "rb") as file:
        file.seek(0)
        words, folder, env = json.load(file)
    for number, target in ((out, 1), (err, 2)):
        os.dup2(number, target)
        os.close(number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[1:] = words
    sys.path[0] = folder
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    _prepare()
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        runpy.run_module("invoke", run_name="__main__", alter_sys=True)
