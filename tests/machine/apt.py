"""Debian packages that the demo and the tests need, installed or unpacked when they are missing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "PATH",
    "NotPossibleError",
    "alone",
    "is_debian",
    "need",
    "need_mmdebstrap",
    "run",
    "say",
    "unpack",
]

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
"""Where commands are looked for: a plain user's PATH lacks the folders of system commands."""

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NotPossibleError(Exception):
    """This machine lacks something that cannot be had from here; the words say what to do."""


def say(text: str) -> None:
    """Tell the person at the terminal, on stderr, what is being done to the machine."""
    print(f"machine: {text}", file=sys.stderr, flush=True)  # a script's own progress


def is_debian() -> bool:
    """Whether apt-get is how packages are installed here, as on Debian and Ubuntu."""
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def need(commands: Mapping[str, str], *, why: str) -> bool:
    """Install the packages of those commands that are missing.

    Args:
        commands: command on PATH, or the absolute path of a file, -> the Debian package that has it.
        why: what they are for, said with the installation.

    Returns:
        Whether anything was installed.

    Raises:
        NotPossibleError: not Debian or Ubuntu, not root, or apt-get refuses.
    """
    missing = sorted({package for command, package in commands.items() if not _has(command)})
    if not missing:
        return False
    names = " ".join(missing)
    if not is_debian():
        raise NotPossibleError(
            f"{why} needs {names}, installed here only on Debian or Ubuntu: install it yourself."
        )
    if os.geteuid() != 0:
        raise NotPossibleError(f"{why} needs {names}: run `sudo apt-get install {names}`, or this as root.")
    with alone(Path("/run/lock/azureml-tasks-apt")):  # apt-get does not wait for another
        say(f"installing {names} with apt-get, for {why}")
        run("apt-get", "-qq", "update")
        run("apt-get", "-qq", "-y", "install", "--no-install-recommends", *missing)
    return True


def need_mmdebstrap(*, why: str) -> None:
    """Install what unpacks packages of any Debian release, unless it is there; see `need`."""
    need({"mmdebstrap": "mmdebstrap", _KEYRING: "debian-archive-keyring"}, why=why)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Only one of our processes and threads at a time, of those that name the same file."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def unpack(packages: Mapping[str, str], suite: str, folder: Path) -> Path:
    """Unpack packages of a Debian suite, whatever this machine runs, without installing them.

    Args:
        packages: path inside the package that proves it is there -> package.
        suite: Debian's name of the release, such as `bookworm`.
        folder: where they are unpacked, once.

    Returns:
        *folder*, which then holds `usr/bin` and so on; no dependencies are in it.

    Raises:
        NotPossibleError: they cannot be fetched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder.with_name(f"{folder.name}.lock")):
        if not all((folder / path).exists() for path in packages):
            _unpack(packages, suite, folder)
    return folder


def _unpack(packages: Mapping[str, str], suite: str, folder: Path) -> None:
    need_mmdebstrap(why=f"packages of Debian's {suite}")
    names = " ".join(packages.values())
    say(f"unpacking {names} of Debian's {suite} into {folder}")
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=folder.parent) as scratch:
        # An empty system has nothing but apt's settings for the suite: enough to fetch packages.
        fetch = f'cd "{scratch}" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq download {names}'
        run(
            "mmdebstrap", "--variant=custom", "--format=null", f"--customize-hook={fetch}", suite, "/dev/null"
        )
        for archive in Path(scratch).glob("*.deb"):
            run("dpkg-deb", "--extract", str(archive), f"{scratch}/root")
        shutil.rmtree(folder, ignore_errors=True)
        Path(scratch, "root").rename(folder)


def run(*command: str, folder: Path | None = None) -> None:
    """Run a system command quietly; what it says counts only when it fails.

    Args:
        command: its words.
        folder: where it runs, if not here.

    Raises:
        NotPossibleError: its exit code is not 0; the words end with what it said.
    """
    environment = {**os.environ, "PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C at the terminal is for this process, which lets it end in order
    )
    output = _output(process)
    if process.returncode:
        tail = "\n".join(output.splitlines()[-15:])
        raise NotPossibleError(f"`{' '.join(command)}` ended with {process.returncode}:\n{tail}")


def _output(process: subprocess.Popen[str]) -> str:
    try:
        return process.communicate()[0]
    except BaseException:
        # An installation is let finish, lest it leave dpkg half done; others clean up on SIGTERM.
        if process.args[0] != "apt-get":  # type: ignore[index]  # run's arguments are always a sequence
            process.terminate()
        process.communicate()
        raise


def _has(command: str) -> bool:
    return Path(command).exists() if command.startswith("/") else shutil.which(command, path=PATH) is not None
