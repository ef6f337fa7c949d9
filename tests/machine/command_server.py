"""Run commands of `invoke` and `azureml-image` from one process that has imported their modules already.

`invoke_cli` starts this file as a script. Starting Python and importing takes most of the time of a short command, and
the tests run thousands. Each command is a process of its own, forked before it has read or done anything, with its own
folder, environment and streams, and it ends as every Python program does; but Python does not take apart the modules
that it shares with the server, which would be half of the time of a short command.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL, REMOTE = "local", "remote"
"""Kinds of servers: the second also has what remote builds need."""
_IMPORTED = (
    *("invoke.main", "docker", "filelock", "requests"),
    *(
        f"azureml_tasks.{name}"
        for name in (
            *(
                "image",
                "cli.ci_annotations",
                "cli.console",
                "cli.options",
                "cli.print_results",
                "cli.program",
            ),
            *("commands.check", "commands.machine_settings", "commands.pipeline", "engines.docker.container"),
            *("engines.docker.engine", "engines.docker.image_build", "smoke.run"),
        )
    ),
)
"""What most commands import, with what that imports."""
_FOR_REMOTE_BUILDS = (
    *("azure.identity", "azure.storage.blob", "azureml_tasks.engines.acr.engine"),
    *("azureml_tasks.engines.acr.session", "azureml_tasks.engines.acr.upload"),
)
"""Azure's libraries take three times as long as all others; another Python's environment does not have them."""


def serve(listener: socket.socket) -> dict[str, Any]:
    """Fork once for each connection; return what to run in the process that is a command's.

    It ends when its own stdin is closed, as it is when the tests have ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for the processes that wait for commands.
    while True:
        ready, _, _ = select.select([listener.fileno(), 0], [], [])
        if listener.fileno() not in ready:
            sys.exit()
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        _, (output, errors), _, _ = socket.recv_fds(connection, 1, 2)
        with connection.makefile("rb") as request:
            command: dict[str, Any] = json.loads(request.read())
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        connection.close()
        for number, stream in enumerate([os.open(os.devnull, os.O_RDONLY), output, errors]):
            os.dup2(stream, number)
            os.close(stream)
        return command


def _end(codes: Sequence[int]) -> None:
    """Flush the streams and end with this exit code; if there is none, or that fails, Python ends by itself."""
    with suppress(OSError, ValueError):
        for code in codes:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _main(listener: socket.socket, kind: str) -> None:
    codes: list[int] = []
    atexit.register(_end, codes)  # What is registered first is called last, after all threads have ended.
    del sys.path[0]  # The folder of this file.
    for module in _IMPORTED:
        importlib.import_module(module)
    if kind == REMOTE:
        with suppress(ImportError):
            for module in _FOR_REMOTE_BUILDS:
                importlib.import_module(module)
    gc.freeze()  # What is shared with the commands stays shared.
    with listener:
        command = serve(listener)
    os.environ.clear()
    os.environ.update(command["env"])
    time.tzset()
    os.chdir(command["folder"])
    flag, code, *arguments = command["words"]
    sys.path.insert(0, str(Path.cwd()) if flag == "-m" else "")
    sys.argv = [flag, *arguments]
    try:
        if flag == "-m":
            runpy.run_module(code, run_name="__main__", alter_sys=True)
        else:
            exec(code, {"__name__": "__main__"})  # noqa: S102  # the text is that of `invoke_cli`
    except SystemExit as ended:
        if isinstance(ended.code, int | None):
            codes.append(ended.code or 0)
        raise
    codes.append(0)


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
