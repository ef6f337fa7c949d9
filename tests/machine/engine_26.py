"""Docker 26.1 of Debian's trixie beside the machine's own engine, with its images in containerd.

dockerd runs in a mount namespace of its own, whose root is a small trixie: it needs newer libraries, containerd and
runc than the machine may have. Its containers share the bridge of the machine's engine, and so its way to the
network; their addresses come from a part of the bridge's range that an engine does not reach by itself.
A dockerd that is told to have no bridge removes docker0, which the other engine needs.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine import apt, bridge, own_engine

__all__ = ["CLIENT", "ensure", "running"]

CLIENT = "26.1-buildx"
"""The client of `clients.clients()` that belongs to it."""
_FOLDER = Path(__file__).parents[2] / ".machine" / "engine-26.1"
_PACKAGES = "base-files,docker.io,mount"
_SETTINGS = {"features": {"containerd-snapshotter": True}, "exec-opts": ["native.cgroupdriver=cgroupfs"]}


def ensure() -> Path:
    """Unpack a root with Docker 26.1 below `.machine`, once.

    Returns:
        Its folder.

    Raises:
        NotPossibleError: its packages cannot be had here.
    """
    root = _FOLDER / "root"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with apt.alone(_FOLDER / "root.lock"):
        if not root.exists():
            apt.need_mmdebstrap(why="Docker 26.1")
            apt.say("unpacking Docker 26.1 of Debian's trixie (about 10 s)")
            with tempfile.TemporaryDirectory(prefix="unpack-", dir=_FOLDER) as scratch:
                unpacked = Path(scratch, "root")
                # Nothing is configured: no program of it is run but dockerd and what dockerd runs.
                apt.run("mmdebstrap", "--variant=extract", f"--include={_PACKAGES}", "trixie", str(unpacked))
                unpacked.rename(root)
    return root


@contextmanager
def running() -> Iterator[str]:
    """Yield the DOCKER_HOST of an engine 26.1 that keeps its images below `.machine` and stops on the way out.

    Raises:
        NotPossibleError: it cannot be had or started here.
    """
    with own_engine.running(
        _FOLDER / "data",
        root=ensure(),
        settings=json.dumps(_SETTINGS),
        options=bridge.sharing(),
    ) as host:
        yield host
