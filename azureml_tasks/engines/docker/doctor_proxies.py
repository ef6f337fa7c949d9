"""What `image.doctor` finds about proxies: those of builds and containers, and those of the engine itself."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.plain_text import hide_login, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.engines.docker.client import EngineClient

_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_KEYS = {
    "HTTP_PROXY": "httpProxy",
    "HTTPS_PROXY": "httpsProxy",
    "ALL_PROXY": "allProxy",
    "NO_PROXY": "noProxy",
}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def shell_proxies() -> dict[str, str]:
    """Return the proxies that this process's environment names; a name in lower case comes first, as for curl."""
    given = {name: os.environ.get(name.lower()) or os.environ.get(name) or "" for name in _NAMES}
    return {name: value for name, value in given.items() if value}


def proxies_text(given: Mapping[str, str]) -> str:
    """Return proxies as one line, without a user and password."""
    return ", ".join(f"{name}={one_line(hide_login(value))}" for name, value in given.items()) or "none"


def build_proxies_finding(client: EngineClient) -> Finding:
    """Say which proxies docker's configuration gives to builds and containers."""
    name, fix = "proxies of builds", f'Set "proxies" in {client.config.file}'
    given = {each: value for each, value in client.proxies.items() if each in _NAMES}
    shell = shell_proxies()
    if local := [each for each, value in given.items() if each != "NO_PROXY" and _is_loopback(value)]:
        why = "In a container that address is the container itself, so nothing answers there."
        return Finding(
            name, Status.WARNING, f"{proxies_text(given)}; {local[0]} is an address of this machine", why, fix
        )
    if given or not shell.keys() - {"NO_PROXY"}:
        return Finding(name, Status.OK, proxies_text(given))
    wanted = {_KEYS[each]: one_line(hide_login(value)) for each, value in shell.items()}
    example = json.dumps({"proxies": {"default": wanted}}, ensure_ascii=False)
    what = f"none, but this shell has {proxies_text(shell)}"
    why = "If there is no other way to the network, apt and pip in a build find nothing."
    return Finding(name, Status.WARNING, what, why, f"Write into {client.config.file}: {example}")


def engine_proxies_finding(info: Mapping[str, Any]) -> Finding:
    """Say through which proxies the engine pulls and pushes."""
    keys = {"HTTP_PROXY": "HttpProxy", "HTTPS_PROXY": "HttpsProxy", "NO_PROXY": "NoProxy"}
    given = {
        name: str(info[key]) for name, key in keys.items() if isinstance(info.get(key), str) and info[key]
    }
    name, shell = "proxies of the engine", shell_proxies()
    if given or not shell.keys() - {"NO_PROXY"}:
        return Finding(name, Status.OK, proxies_text(given))
    why = "If there is no other way to the network, the engine pulls and pushes nothing."
    fix = "Set them for the engine: https://docs.docker.com/engine/daemon/proxy/"
    return Finding(name, Status.NOTE, "none, although this shell has some", why, fix)


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address if "://" in address else f"http://{address}").hostname
    except ValueError:
        return False
    return (host or "") in _LOOPBACK
