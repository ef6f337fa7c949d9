"""An engine on another machine by SSH, at a Unix socket of this machine.

Each connection to the socket is one `ssh HOST docker system dial-stdio`, as docker's client makes it (docker/cli,
cli/connhelper): so the user's own `~/.ssh/config`, keys, agent and known hosts hold for us, for Docker's SDK and for
docker's client alike.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from azureml_tasks.errors import EngineError
from azureml_tasks.process import MissingProgram, attach, find_program

if TYPE_CHECKING:
    from azureml_tasks.process import Attached

_LONGEST_FOLDER = 70
"""Bytes; the path of a socket has at most 107 (unix(7)), of which ssh needs 18 for a name of its own at first."""
_PERSIST = 5
"""Seconds for which ssh keeps a connection for the next request, which takes half as long without a sign-in."""
_CONNECT_TIMEOUT = 30  # seconds, as in docker's client


class SshBridge:
    """A socket that leads to the engine at *host*, such as `ssh://builder@machine`, as long as this object lives.

    Raises:
        EngineError: there is no ssh on PATH.
    """

    def __init__(self, host: str) -> None:
        if not find_program("ssh"):
            fix = "On Debian and Ubuntu: sudo apt-get install openssh-client"
            raise EngineError(f"There is no ssh on PATH, which leads to {host}.", next_step=fix)
        self._folder = _short_folder()
        self._argv = ssh_command(host, f"{self._folder.name}/ssh")
        self._path = f"{self._folder.name}/engine.sock"
        self._last: Attached | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        """The address of the socket, `unix:///…`; its folder admits this user alone."""
        return f"unix://{self._path}"

    def words(self) -> str:
        """Return what the last ssh that ended said about it, as for a host that it does not know."""
        return self._last.words() if self._last else ""

    def close(self) -> None:
        """Accept no further connection, and remove the socket."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # It ends the wait in `accept`.
        self._listener.close()
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # It is closed.
                return
            # If ssh cannot be started, the other side reads the end of the connection.
            with connection, suppress(MissingProgram, OSError):
                self._last = attach(self._argv, connection)


def ssh_command(host: str, shared: str) -> list[str]:
    """Return the command whose stdin and stdout are a connection to the engine at *host*.

    Args:
        host: `ssh://USER@HOST:PORT`.
        shared: path of the socket by which commands share one sign-in (ssh_config(5), ControlMaster).
    """
    parts = urlsplit(host)
    name = parts.netloc.rpartition("@")[
        2
    ]  # `hostname` is in lower case, and aliases of ~/.ssh/config need not be.
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    user = ["-l", unquote(parts.username)] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    settings = {
        "ConnectTimeout": _CONNECT_TIMEOUT,
        "ControlMaster": "auto",
        "ControlPath": shared,
        "ControlPersist": _PERSIST,
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", *options, "-T", *user, *port, "--", name, "docker", "system", "dial-stdio"]


def _short_folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="azureml-ssh-")
    if len(folder.name.encode(errors="surrogateescape")) <= _LONGEST_FOLDER:
        return folder
    folder.cleanup()
    return tempfile.TemporaryDirectory(prefix="azureml-ssh-", dir="/tmp")
