"""Addresses of containers: engines of one machine share the bridge docker0, and each hands out its first address."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import random
import socket
import struct

from tests.machine import apt

__all__ = ["own_addresses", "sharing"]

_BRIDGE = "docker0"
_ADDRESS_AND_MASK = (0x8915, 0x891B)
"""The requests SIOCGIFADDR and SIOCGIFNETMASK of Linux."""
_LOCK = "/run/lock/azureml-tasks-addresses-{}"


def sharing() -> list[str]:
    """Options of a dockerd that uses the bridge of another engine, with addresses of its own.

    A dockerd that is told to have no bridge removes docker0, which the other engine needs.

    Raises:
        NotPossibleError: there is no bridge.
    """
    addresses = own_addresses()
    if not addresses:
        raise apt.NotPossibleError(f"There is no network bridge {_BRIDGE} of another engine.")
    return ["--bridge", _BRIDGE, "--fixed-cidr", str(addresses), "--iptables=false"]


def own_addresses() -> ipaddress.IPv4Network | None:
    """Some of the upper half of the bridge's addresses that no other process has; None if there is no bridge yet.

    Another engine hands out the lower half, and does not come this far by itself.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("256s", _BRIDGE.encode())
        try:
            address, mask = (
                socket.inet_ntoa(fcntl.ioctl(asking, number, request)[20:24]) for number in _ADDRESS_AND_MASK
            )
        except OSError:
            return None
    whole = ipaddress.IPv4Network(f"{address}/{mask}", strict=False)
    _, upper = whole.subnets()
    parts = list(upper.subnets(new_prefix=max(24, upper.prefixlen)))
    random.shuffle(parts)  # Containers of an earlier engine may still be known to the bridge.
    return next((part for part in parts if _take(part)), parts[0])


def _take(part: ipaddress.IPv4Network) -> bool:
    """Take these addresses until this process ends; return False if somebody has them."""
    lock = os.open(_LOCK.format(part.network_address), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True
