"""Which files of a lock file run on the platform of the image, as far as names and markers tell."""

from __future__ import annotations

from functools import cache

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""Platform of an image → how wheels and markers name its machine."""
_MINORS = range(8, 20)
"""Minor versions of Python 3 that an image may have."""


def runs_on(wheel: str, platform: str) -> bool:
    """Return whether a wheel can be installed on *platform*; True if that is not known.

    Args:
        wheel: its file name: https://packaging.python.org/en/latest/specifications/binary-distribution-format/.
        platform: of the image. Its C library is that of Debian and Ubuntu, glibc.
    """
    machine = _MACHINES.get(platform)
    if not machine:
        return True
    tags = wheel.removesuffix(".whl").rpartition("-")[2].split(".")
    return any(
        tag == "any" or (tag.startswith(("manylinux", "linux_")) and tag.endswith(machine)) for tag in tags
    )


@cache
def may_apply(marker: str, platform: str) -> bool:
    """Return whether a marker applies on *platform* with some version of Python; True if that is not known."""
    if not marker:
        return True
    from packaging.markers import Marker

    linux = {
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": _MACHINES.get(platform, ""),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    parsed = Marker(marker)
    try:
        return any(
            parsed.evaluate({**linux, "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9"})
            for minor in _MINORS
        )
    except ValueError:  # It compares what cannot be compared, which pip of the image will say.
        return True
