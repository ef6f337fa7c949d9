"""A debugger as an editor has one: it speaks the Debug Adapter Protocol with debugpy.

https://microsoft.github.io/debug-adapter-protocol/specification
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["DebugClient"]

_TIMEOUT = 300.0  # seconds without a message


class DebugClient:
    """A debugger that is attached as a launch configuration says.

    Args:
        configuration: of VS Code, which is sent to the adapter as it is.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        place = configuration["connect"]
        self._socket = socket.create_connection((place["host"], place["port"]), timeout=_TIMEOUT)
        self._messages = self._socket.makefile("rb")
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self.request("initialize", {"adapterID": "python", "pathFormat": "path"})
        # Answered once the breakpoints are set.
        self._attach = self._send("attach", dict(configuration))
        self.event("initialized")

    def start(self, file: str, lines: Sequence[int]) -> list[bool]:
        """Set breakpoints in *file* and let the program go on; return which of them are in the program."""
        breakpoints = {"source": {"path": file}, "breakpoints": [{"line": line} for line in lines]}
        answer = self.request("setBreakpoints", breakpoints)
        self.request("configurationDone")
        self._answer(self._attach)
        return [bool(each["verified"]) for each in answer["breakpoints"]]

    def event(self, name: str) -> dict[str, Any]:
        """Wait for the next event of this name and return its body."""
        while True:
            for index, event in enumerate(self._events):
                if event["event"] == name:
                    body: dict[str, Any] = self._events.pop(index).get("body", {})
                    return body
            self._receive()

    def request(self, command: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return the body of its answer."""
        return self._answer(self._send(command, arguments or {}))

    def close(self) -> None:
        """Go away as an editor that is closed."""
        self._messages.close()
        self._socket.close()

    def _send(self, command: str, arguments: Mapping[str, Any]) -> int:
        self._number += 1
        message = {"seq": self._number, "type": "request", "command": command, "arguments": arguments}
        content = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        return self._number

    def _answer(self, number: int) -> dict[str, Any]:
        while True:
            message = self._receive()
            if message["type"] == "response" and message["request_seq"] == number:
                assert message["success"], message
                body: dict[str, Any] = message.get("body", {})
                return body

    def _receive(self) -> dict[str, Any]:
        length = 0
        while (line := self._messages.readline()) != b"\r\n":
            assert line, "the connection was closed"
            length = int(line.partition(b":")[2])
        message: dict[str, Any] = json.loads(self._messages.read(length))
        if message["type"] == "event":
            self._events.append(message)
        return message
