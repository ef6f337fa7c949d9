"""A real registry on a free port of this machine, with or without login."""

from __future__ import annotations

import ctypes
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.machine import apt

__all__ = ["Registry", "registry"]

_FOLDER = Path(__file__).parents[2] / ".machine" / "registry"
_START_SECONDS = 120.0
_SALT = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

_SETTINGS = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}/storage
  delete:
    enabled: true
http:
  addr: 127.0.0.1:0
"""

_LOGIN = """\
auth:
  htpasswd:
    realm: azureml-tasks
    path: {folder}/htpasswd
"""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry that is running.

    Args:
        host: `127.0.0.1:PORT`; engines on this machine talk plain HTTP to it.
        user: login name, empty if there is no login.
        password: its password.
    """

    host: str
    user: str = ""
    password: str = field(default="", repr=False)


@contextmanager
def registry(*, login: bool = False, auth: str = "", storage: Path | None = None) -> Iterator[Registry]:
    """Run Debian's docker-registry with storage that is removed at the end.

    Args:
        login: whether it asks for a user and a password, which are then set.
        auth: more lines of its settings.
        storage: folder in which its storage is.

    Raises:
        NotPossibleError: it cannot be installed, or ends at once; the message has the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="azureml-tasks-", dir=storage) as name:
        folder = Path(name)
        user, password = ("team", secrets.token_urlsafe(12)) if login else ("", "")
        settings = (_SETTINGS + (_LOGIN if login else "")).format(folder=folder)
        (folder / "config.yml").write_text(settings + auth, encoding="utf-8")
        (folder / "htpasswd").write_text(f"{user}:{_bcrypt(password)}\n" if login else "", encoding="utf-8")
        process = _start(folder)
        try:
            yield Registry(host=_host(process, folder / "log"), user=user, password=password)
        finally:
            process.terminate()
            process.wait()


def _start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", _program(), "serve", str(folder / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C at the terminal is for this process, which stops it in order
        )


def _program() -> str:
    program = shutil.which("docker-registry", path=apt.PATH)
    if program:
        return program
    inside = "usr/bin/docker-registry"
    return str(apt.unpack({inside: "docker-registry"}, "bookworm", _FOLDER) / inside)


def _host(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address from the log: the registry chooses a free port."""
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        match = re.search(
            r"listening on (127\.0\.0\.1:\d+)\D", log.read_text(encoding="utf-8", errors="replace")
        )
        if match:
            return match.group(1)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    raise apt.NotPossibleError(f"docker-registry does not start; the end of its log:\n{tail}")


def _bcrypt(password: str) -> str:
    """Return the bcrypt hash, the only one that the registry accepts, by the C library of Debian's login."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    salt = "$2a$05$" + "".join(secrets.choice(_SALT) for _ in range(21)) + "."
    hashed = crypt(password.encode(), salt.encode())
    return bytes(hashed).decode()
