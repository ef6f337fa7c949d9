"""Run the probe in a run of Azure Container Registry, and print its events so that they survive the run's log.

This runs as root under the image's own Python, beside the container that is tested, with the standard library of
Python 3.7 and `probe.py` beside it. The argument is a file with the probe's configuration and three more keys:

    container  the name of the container that is tested, which is also its host name
    marker     the beginning of each line
    limit      bytes that are kept of an answer, and of the end of the container's log
    stand_in   (optional) true if our stand-in serves, so that the image's own must not be there

Each event is one or more lines: marker, number of the event, part/parts, base64 of deflated JSON. The last event
describes the container, because ACR's log shows nothing of a detached step. The agent's engine knows; ACR gives its
socket to every step (https://github.com/Azure/acr-builder, builder/context.go).
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

WIDTH = 8000
"""Characters of a part; Docker's log drivers split lines at 16 KiB."""

SOCKET = "/var/run/docker.sock"
GRACE = 10  # seconds
ENTRY_SCRIPT = "AZUREML_ENTRY_SCRIPT="
HEADER = 8
"""Bytes before each piece of a log: https://docs.docker.com/reference/api/engine/ (ContainerAttach)."""


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
        """Connect to the engine's socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def engine_answer(method: str, path: str) -> bytes:
    """Return the body of the engine's answer; empty if the engine refuses or does not answer."""
    connection = Engine()
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()
    return content if answer.status < 400 else b""  # noqa: PLR2004 -- HTTP errors start at 400


def container_id(host: str) -> str:
    """Return the ID of the container with the host name *host*; *host* itself if the engine does not know it."""
    with contextlib.suppress(OSError):
        address = socket.gethostbyname(host)
        for container in json.loads(engine_answer("GET", "/containers/json") or b"[]"):
            networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
            if address in [network.get("IPAddress") for network in networks.values()]:
                return str(container["Id"])
    return host


def state(container: str) -> dict[str, Any]:
    """Return the container's state; empty if the engine does not answer."""
    details: dict[str, Any] = json.loads(engine_answer("GET", f"/containers/{container}/json") or b"{}")
    return details.get("State") or {}


def is_alive(container: str, host: str) -> bool:
    """Return whether the container runs or, if the engine does not answer, whether its host name is still known."""
    current = state(container)
    if current:
        return bool(current["Running"])
    try:
        socket.gethostbyname(host)
    except OSError:
        return False
    return True


def log_of(container: str, limit: int) -> str:
    """Return the end of the container's log, read in constant memory; it comes in pieces, their length in front."""
    connection, text = Engine(), bytearray()
    try:
        connection.request("GET", f"/containers/{container}/logs?stdout=1&stderr=1")
        answer = connection.getresponse()
        if answer.status >= 400:  # noqa: PLR2004 -- HTTP errors start at 400
            return ""
        header = answer.read(HEADER)
        while len(header) == HEADER:
            missing = int.from_bytes(header[4:], "big")
            while missing:
                block = answer.read(min(missing, limit))
                if not block:
                    break
                missing -= len(block)
                text += block
                if len(text) > 2 * limit:
                    del text[:-limit]
            header = answer.read(HEADER)
    except (OSError, http.client.HTTPException):
        pass  # What has come is better than nothing.
    finally:
        connection.close()
    return text[-limit:].decode(errors="replace")


def peak_memory(container: str) -> int | None:
    """Return the largest memory use in bytes; None if the kernel does not count it."""
    stats = json.loads(
        engine_answer("GET", f"/containers/{container}/stats?stream=false&one-shot=true") or b"{}"
    )
    peak = (stats.get("memory_stats") or {}).get("max_usage")
    return int(peak) if peak else None


def own_script(container: str) -> str:
    """Return the entry script that the image itself names, not one that a variable here names; "" for none."""
    details = json.loads(engine_answer("GET", f"/containers/{container}/json") or b"{}")
    image = json.loads(engine_answer("GET", f"/images/{details.get('Image')}/json") or b"{}")
    variables = (image.get("Config") or {}).get("Env") or []
    names = [pair[len(ENTRY_SCRIPT) :] for pair in variables if pair.startswith(ENTRY_SCRIPT)]
    return str(names[-1]) if names else ""


def container_event(container: str, limit: int, *, stand_in: bool) -> dict[str, Any]:
    """Stop the container and return the last event, which describes it."""
    before = state(container)
    event: dict[str, Any] = {
        "event": "container",
        "seen": bool(before),
        "running": bool(before.get("Running", True)),
        "exit_code": int(before.get("ExitCode", 0)),
        "out_of_memory": bool(before.get("OOMKilled")),
        "peak_memory": peak_memory(container) if before.get("Running") else None,
        "stop": None,
        **({"replaced": own_script(container)} if stand_in else {}),
    }
    if before.get("Running"):
        began = time.monotonic()
        engine_answer("POST", f"/containers/{container}/stop?t={GRACE}")
        event["stop"] = round(time.monotonic() - began, 6)
    return {**event, "log": log_of(container, limit)}


def main(path: str) -> int:
    """Send the requests and return 0 if /swagger.json and the malformed body pass, and no script was replaced."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    probe: Any = importlib.import_module("probe")
    config = json.loads(Path(path).read_text("utf-8"))
    events: list[dict[str, Any]] = []

    def emit(event: dict[str, Any]) -> None:
        sys.stdout.write("".join(f"{line}\n" for line in frames(config["marker"], len(events), event)))
        sys.stdout.flush()
        events.append(event)

    probe.LIMIT = config["limit"]
    container = container_id(config["container"])
    probe.run(config, emit, lambda: is_alive(container, config["container"]))
    emit(container_event(container, config["limit"], stand_in=config.get("stand_in", False)))
    by_name = {event["event"]: event for event in events}
    # The malformed body is sent only if every request got its expected status.
    swagger, malformed = by_name.get("swagger", {}), by_name.get("malformed", {})
    has_swagger = swagger.get("status") == http.client.OK or not config.get("swagger", True)
    has_passed = has_swagger and malformed.get("healthy")
    return 0 if has_passed and not by_name["container"].get("replaced") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
