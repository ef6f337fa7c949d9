"""Smoke-test a container that runs beside this one, and print what was seen so that it survives a log.

Runs in a run of Azure Container Registry, as root under the image's own Python, with the standard library
of Python 3.7 and `probe.py` beside it. Its argument is a probe's job with three keys more:

    container  the name of the one that is tested, which is also its host name
    marker     what each line begins with
    limit      bytes of an answer, and of the end of the container's log, that are kept

Each event is one or more lines: marker, number of the event, part/parts, base64 of deflated JSON. The last
one tells how the container is, which ACR's own log does not: an agent shows nothing of a detached step. It
is asked of the agent's engine, whose socket ACR gives to every step (Azure/acr-builder, builder/context.go).
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib
import json
import socket
import sys
import time
import zlib
from pathlib import Path
from typing import Any

__all__ = ["frames", "main"]

WIDTH = 8000
"""Characters of a part: Docker's log drivers break lines at 16 KiB."""

ENGINE = "/var/run/docker.sock"
GRACE = 10
HEADER = (
    8  # bytes before each piece of a log: https://docs.docker.com/reference/api/engine/ (ContainerAttach)
)


def frames(marker: str, number: int, event: dict[str, Any]) -> list[str]:
    """Return the lines of one event."""
    text = base64.b64encode(zlib.compress(json.dumps(event).encode())).decode("ascii")
    parts = [text[start : start + WIDTH] for start in range(0, len(text), WIDTH)]
    return [f"{marker} {number} {place}/{len(parts)} {part}" for place, part in enumerate(parts, 1)]


class Engine(http.client.HTTPConnection):
    """A connection to the agent's engine."""

    def __init__(self) -> None:
        super().__init__("engine", timeout=60)

    def connect(self) -> None:
        """Connect to its socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(ENGINE)


def ask(method: str, path: str) -> bytes:
    """Return what the engine answers; nothing where it cannot be asked."""
    connection = Engine()
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()
    return content if answer.status < 400 else b""  # noqa: PLR2004 -- where refusals begin


def named(host: str) -> str:
    """Return the id of the container that answers to *host* here; the name itself where nobody can tell."""
    with contextlib.suppress(OSError):
        address = socket.gethostbyname(host)
        for each in json.loads(ask("GET", "/containers/json") or b"[]"):
            networks = (each.get("NetworkSettings") or {}).get("Networks") or {}
            if address in [network.get("IPAddress") for network in networks.values()]:
                return str(each["Id"])
    return host


def state(container: str) -> dict[str, Any]:
    """Return the container's state; empty where the engine cannot be asked."""
    found: dict[str, Any] = json.loads(ask("GET", f"/containers/{container}/json") or b"{}").get("State", {})
    return found


def is_alive(container: str, host: str) -> bool:
    """Tell whether the container runs; without an engine to ask, whether its name is still known."""
    found = state(container)
    if found:
        return bool(found["Running"])
    try:
        socket.gethostbyname(host)
    except OSError:
        return False
    return True


def log_of(container: str, limit: int) -> str:
    """Return the last that the container has printed: its log comes in pieces, each with its length."""
    content, at, text = ask("GET", f"/containers/{container}/logs?stdout=1&stderr=1"), 0, bytearray()
    while at + HEADER <= len(content):
        end = at + HEADER + int.from_bytes(content[at + 4 : at + HEADER], "big")
        text += content[at + HEADER : end]
        at = end
    return text[-limit:].decode(errors="replace")


def peak_of(container: str) -> int | None:
    """Return the most bytes of memory that it has used, where the kernel counts that."""
    found = json.loads(ask("GET", f"/containers/{container}/stats?stream=false&one-shot=true") or b"{}")
    peak = (found.get("memory_stats") or {}).get("max_usage")
    return int(peak) if peak else None


def ended(container: str, limit: int) -> dict[str, Any]:
    """Return the last event: how the container is, and how it takes being stopped."""
    found = state(container)
    event: dict[str, Any] = {
        "event": "container",
        "seen": bool(found),
        "running": bool(found.get("Running", True)),
        "exit_code": int(found.get("ExitCode", 0)),
        "out_of_memory": bool(found.get("OOMKilled")),
        "peak_memory": peak_of(container) if found.get("Running") else None,
        "stop": None,
    }
    if found.get("Running"):
        began = time.monotonic()
        ask("POST", f"/containers/{container}/stop?t={GRACE}")
        event["stop"] = round(time.monotonic() - began, 6)
    return {**event, "log": log_of(container, limit)}


def main(path: str) -> int:
    """Ask what the job says and return 0 where every status was the wanted one, else 1."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    probe: Any = importlib.import_module("probe")
    job = json.loads(Path(path).read_text("utf-8"))
    events: list[dict[str, Any]] = []

    def tell(event: dict[str, Any]) -> None:
        sys.stdout.write("".join(f"{line}\n" for line in frames(job["marker"], len(events), event)))
        sys.stdout.flush()
        events.append(event)

    probe.LIMIT = job["limit"]
    container = named(job["container"])
    probe.run(job, tell, lambda: is_alive(container, job["container"]))
    tell(ended(container, job["limit"]))
    seen = {event["event"]: event for event in events}
    sound = seen.get("swagger", {}).get("status") == http.client.OK and seen.get("malformed", {}).get(
        "healthy"
    )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
