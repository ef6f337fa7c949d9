"""Azurite, Microsoft's own emulator of Azure's blob storage: its installation and its life."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.machine import apt, command

__all__ = ["Azurite", "ensure", "running"]

_FOLDER = Path(__file__).parents[2] / ".machine" / "azurite"
_VERSION = "3.37.0"
_LEFT_OUT = ("applicationinsights", "mysql2", "tedious")
"""Its telemetry, which is switched off, and databases that it is not asked to use: most of what npm would bring."""
_MAIN = f"azurite-{_VERSION}/node_modules/azurite/dist/src/blob/main.js"
_START_SECONDS = 300.0
_PATIENCE = 5.0


@dataclass(frozen=True, kw_only=True)
class Azurite:
    """A storage account that is served.

    Args:
        host: `127.0.0.1:PORT`, plain HTTP.
        account: its name.
        key: its key, in base64 as Azure shows it.
    """

    host: str
    account: str
    key: str = field(repr=False)


def ensure() -> Path:
    """Install Azurite below `.machine`, once.

    Returns:
        The script that node runs.

    Raises:
        NotPossibleError: neither node nor npm can be had, or npm cannot install.
    """
    main = _FOLDER / _MAIN
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with apt.alone(_FOLDER / "lock"):
        if not main.exists():
            _install()
    return main


def _install() -> None:
    apt.need({"node": "nodejs", "npm": "npm"}, why="Azurite, the emulator of Azure's storage")
    apt.say(f"installing azurite {_VERSION} into {_FOLDER} (about 15 s)")
    with tempfile.TemporaryDirectory(prefix="npm-", dir=_FOLDER) as scratch:
        quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--omit=dev")
        _describe(Path(scratch))
        apt.run("npm", "install", *quiet, "--prefix", scratch)
        Path(scratch).rename(_FOLDER / f"azurite-{_VERSION}")
        Path(scratch).mkdir()  # which the end of this block removes


def _describe(folder: Path) -> None:
    """Ask npm for Azurite, with a package of nothing in the place of each that is left out."""
    (folder / "nothing").mkdir()
    (folder / "nothing" / "package.json").write_text('{"name": "nothing", "version": "0.0.0"}', "utf-8")
    (folder / "nothing" / "index.js").touch()
    package = {"dependencies": {"azurite": _VERSION}, "overrides": dict.fromkeys(_LEFT_OUT, "file:nothing")}
    (folder / "package.json").write_text(json.dumps({"private": True, **package}), "utf-8")


@contextmanager
def running() -> Iterator[Azurite]:
    """Serve one storage account on a free port of this machine; its blobs are gone with it.

    Raises:
        NotPossibleError: it cannot be had here, or ends at once; the words have the end of its log.
    """
    main = ensure()
    account, key = "acrtasks", base64.b64encode(secrets.token_bytes(32)).decode()
    with tempfile.TemporaryDirectory(prefix="azureml-tasks-") as name:
        log = Path(name, "log")
        with log.open("wb") as into:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *_words(main, Path(name))],
                env={**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}", "PATH": apt.PATH},
                stdin=subprocess.DEVNULL,
                stdout=into,
                stderr=into,
                start_new_session=True,  # Ctrl-C at the terminal is for this process, which stops it in order
            )
        try:
            yield Azurite(host=_host(process, log), account=account, key=key)
        finally:
            command.end(process, patience=_PATIENCE)


def _words(main: Path, folder: Path) -> list[str]:
    """Clients send versions of the protocol that are newer than the emulator, which would refuse them."""
    address = ["--blobHost", "127.0.0.1", "--blobPort", "0"]
    return [
        *("node", str(main), "--location", str(folder / "blobs"), *address),
        *("--skipApiVersionCheck", "--disableTelemetry", "--silent"),
    ]


def _host(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens: it takes a free port itself, and says which."""
    end = time.monotonic() + _START_SECONDS
    text = ""
    while process.poll() is None and time.monotonic() < end:
        text = log.read_text(encoding="utf-8", errors="replace")
        match = re.search(r"successfully listens on http://(127\.0\.0\.1:\d+)", text)
        if match:
            return match.group(1)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
    raise apt.NotPossibleError(
        "\n".join(["Azurite does not start; the end of its log:", *text.splitlines()[-15:]])
    )
