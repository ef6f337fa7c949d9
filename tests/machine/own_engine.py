"""A dockerd of our own: its start, its end, and nothing of it left behind but its images."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.machine import apt, command

__all__ = ["OwnEngine", "own_engine", "running"]

_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
_LOG_LINES = 15
_ENTER = """\
set -e
root=$1 data=$2 run=$3
shift 3
mount --bind "$root" "$root"
for each in /dev /proc /sys "$data" "$run"; do
    mkdir -p "$root$each"
    mount --rbind "$each" "$root$each"
done
for each in /etc/hosts /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
    if [ -e "$each" ]; then cp -L "$each" "$root/etc/"; fi
done
mkdir -p "$root/outside"
cd "$root"
pivot_root . outside
umount -l /outside
exec "$@"
"""
"""Makes ROOT the root of this mount namespace, with DATA and RUN at their own paths, and becomes the command.

It takes pivot_root, as `docker load` mounts / again, which chroot does not allow. If systemd-resolved answers on
loopback alone, containers are given the servers that it asks.
"""


@dataclass(kw_only=True)
class OwnEngine:
    """A dockerd that can be killed and started again.

    Args:
        host: its DOCKER_HOST.
        containerd: file with the process ID of its containerd.
        start: starts it.
        process: of the dockerd that runs now.
    """

    host: str
    containerd: Path
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it as the kernel does when memory runs out: with no time to clean up."""
        self.process.kill()
        self.process.wait()
        # Its containerd has ended with it. Where nobody waits for orphans, it stays as a zombie, which the next
        # dockerd would take for one that runs.
        self.containerd.unlink(missing_ok=True)

    def restart(self) -> None:
        """Start it again on the same images and the same socket."""
        self.process = self.start()


@contextmanager
def running(
    data: Path, *, root: Path | None = None, settings: str = "{}", options: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the DOCKER_HOST of a dockerd; see `own_engine`."""
    with own_engine(data, root=root, settings=settings, options=options) as engine:
        yield engine.host


@contextmanager
def own_engine(
    data: Path, *, root: Path | None = None, settings: str = "{}", options: Sequence[str] = ()
) -> Iterator[OwnEngine]:
    """Yield a dockerd that keeps its images in *data* and stops on the way out.

    Args:
        data: folder of its images.
        root: folder with the system that it is taken from and runs in; this machine's own if None.
        settings: text of its daemon.json.
        options: further options of `dockerd`.

    Raises:
        NotPossibleError: it ends at once or does not answer; the end of its log is in the words.
    """
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = stack.enter_context(data.with_suffix(".lock").open("w"))
        _take(lock.fileno())
        # A socket's path may have 107 characters at most, so it cannot lie in the checkout.
        folder = Path(tempfile.mkdtemp(prefix="azureml-tasks-", dir="/run"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        apt.say(f"starting a Docker engine of our own; its images stay in {data}")
        settings_file = folder / "daemon.json"
        settings_file.write_text(settings, encoding="utf-8")
        words = [*_inside(root, data, folder), "dockerd", "--config-file", str(settings_file), *options]

        def start() -> subprocess.Popen[bytes]:
            process = _start(words, folder, data, lock.fileno())
            stack.callback(_stop, process, folder, data)
            _wait(process, folder)
            return process

        containerd = folder / "exec/containerd/containerd.pid"
        yield OwnEngine(host=_host(folder), containerd=containerd, start=start, process=start())
        apt.say("stopping the Docker engine")


def _host(folder: Path) -> str:
    return f"unix://{folder}/docker.sock"


def _take(lock: int) -> None:
    """Two engines must not share a data folder; dockerd inherits the lock, which lasts as long as it does."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        apt.say("waiting for the engine of another run in this checkout to stop")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _inside(root: Path | None, data: Path, folder: Path) -> list[str]:
    """The words that make the command after them run in *root*."""
    return (
        ["unshare", "--mount", "sh", "-c", _ENTER, "enter", str(root), str(data), str(folder)] if root else []
    )


def _start(words: Sequence[str], folder: Path, data: Path, lock: int) -> subprocess.Popen[bytes]:
    command = [
        # The engine gets its SIGTERM even when this process is killed outright.
        *("setpriv", "--pdeathsig", "TERM"),
        *words,
        *("--host", _host(folder), "--shutdown-timeout", "5"),
        *("--data-root", str(data), "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/docker.pid"),
    ]
    with (folder / "dockerd.log").open("wb") as log:
        return subprocess.Popen(
            command,
            env={**os.environ, "PATH": apt.PATH},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C at the terminal is for this process, which stops it in order
            pass_fds=(lock,),
        )


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if _answers(folder):
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
    code = process.poll()
    failure = f"does not answer within {_START_SECONDS:.0f} s" if code is None else f"ended with {code}"
    log = (folder / "dockerd.log").read_text(encoding="utf-8", errors="replace").splitlines()
    raise apt.NotPossibleError("\n".join([f"dockerd {failure}; the end of its log:", *log[-_LOG_LINES:]]))


def _answers(folder: Path) -> bool:
    try:
        with closing(docker.DockerClient(base_url=_host(folder), timeout=5)) as client:
            return bool(client.ping())
    except (DockerException, OSError):
        return False


def _stop(process: subprocess.Popen[bytes], folder: Path, data: Path) -> None:
    with _undisturbed():
        _remove_containers(folder)
        command.end(process, patience=_STOP_SECONDS)
        _sweep(folder, data)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C or SIGTERM waits until everything is stopped."""
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _remove_containers(folder: Path) -> None:
    with (
        suppress(DockerException, OSError),
        closing(docker.DockerClient(base_url=_host(folder), timeout=20)) as client,
    ):
        for container in client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)


def _sweep(folder: Path, data: Path) -> None:
    """What an engine that had to be killed leaves: containers, their guardians, and mounts."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _is_ours(process, folder, data):
                os.kill(int(process.name), signal.SIGKILL)
    lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    mounts = [_plain(line.split()[1]) for line in lines]
    for mount in sorted(mounts, reverse=True):
        if Path(mount).is_relative_to(folder) or Path(mount).is_relative_to(data):
            subprocess.run(["umount", "--lazy", mount], check=False)


def _is_ours(process: Path, folder: Path, data: Path) -> bool:
    """Whether its command names our folder, or its root is a container's that lies in our data."""
    roots = [line.split() for line in (process / "mountinfo").read_text(encoding="utf-8").splitlines()]
    contained = any(words[4] == "/" and str(data) in _plain(words[-1]) for words in roots)
    return contained or str(folder).encode() in (process / "cmdline").read_bytes()


def _plain(text: str) -> str:
    r"""A path as the kernel lists mounts, where a blank is `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
