"""Docker 26.1 of Debian's trixie beside the machine's own engine, with its images in containerd.

dockerd runs in a mount namespace of its own, whose root is a small trixie: it needs newer libraries, containerd and
runc than the machine may have. Its containers share the bridge of the machine's engine, and so its way to the
network; their addresses come from a part of the bridge's range that an engine does not reach by itself.
A dockerd that is told to have no bridge removes docker0, which the other engine needs.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import random
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine import apt, own_engine

__all__ = ["BRIDGE", "CLIENT", "addresses", "ensure", "running"]

CLIENT = "26.1-buildx"
"""The client of `clients.clients()` that belongs to it."""
_FOLDER = Path(__file__).parents[2] / ".machine" / "engine-26.1"
_PACKAGES = "base-files,docker.io,mount"
BRIDGE = "docker0"
_ADDRESS_AND_MASK = (0x8915, 0x891B)
"""The requests SIOCGIFADDR and SIOCGIFNETMASK of Linux."""
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
                made = Path(scratch, "root")
                # Nothing is configured: no program of it is run but dockerd and what dockerd runs.
                apt.run("mmdebstrap", "--variant=extract", f"--include={_PACKAGES}", "trixie", str(made))
                made.rename(root)
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
        options=["--bridge", BRIDGE, "--fixed-cidr", str(addresses()), "--iptables=false"],
    ) as host:
        yield host


def addresses() -> ipaddress.IPv4Network:
    """Some of the upper half of the bridge's addresses, others in each run: another checkout may have an engine too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("256s", BRIDGE.encode())
        try:
            address, mask = (
                socket.inet_ntoa(fcntl.ioctl(asking, number, request)[20:24]) for number in _ADDRESS_AND_MASK
            )
        except OSError as error:
            raise apt.NotPossibleError(f"Docker 26.1 needs the network bridge {BRIDGE}: {error}") from None
    whole = ipaddress.IPv4Network(f"{address}/{mask}", strict=False)
    _, upper = whole.subnets()
    parts = list(upper.subnets(new_prefix=max(24, upper.prefixlen)))
    return random.choice(parts)  # noqa: S311 -- nobody shall be kept from guessing it
