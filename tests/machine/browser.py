"""A browser without a window, driven through its DevTools protocol: https://chromedevtools.github.io/devtools-protocol."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.machine import apt

__all__ = ["Browser", "Page", "browser", "ensure"]

_PROGRAM = "chromium-headless-shell"
"""The smallest package of Debian with a browser: 96 MB to download, fonts and libraries included."""
_OPTIONS = ("--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
"""Root, as whom tests run in containers, has no sandbox."""


class Browser:
    """A browser that runs.

    Args:
        answers: what it writes, messages that end in a zero byte.
        commands: what it reads, likewise.
    """

    def __init__(self, answers: int, commands: int) -> None:
        self._answers = os.fdopen(answers, "rb")
        self._commands = os.fdopen(commands, "wb")
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(
        self, method: str, parameters: Mapping[str, Any] | None = None, session: str = ""
    ) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events that come before it are kept.

        Raises:
            AssertionError: the browser refuses.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": dict(parameters or {})}
        if session:
            message["sessionId"] = session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        """Close the pipes of a browser that has ended."""
        self._answers.close()
        self._commands.close()

    def wait_for(self, method: str) -> None:
        """Wait until an event of this name has come."""
        while not any(event["method"] == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = self._answers.read1(1 << 20)
            assert block, "the browser has ended"
            self._rest += block
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def open(self, path: Path) -> Page:
        """Open a file in a new page, and wait until it is loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.call(f"{domain}.enable")
        self.events.clear()
        page.call("Page.navigate", {"url": path.as_uri()})
        self.wait_for("Page.loadEventFired")
        return page


class Page:
    """A page that is open."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a method of the protocol for this page."""
        return self._browser.call(method, parameters, self._session)

    def show(self, *, width: int, theme: str = "light", media: str = "") -> None:
        """Lay the page out again.

        Args:
            width: in CSS pixels.
            theme: light or dark.
            media: screen or print; "" for screen.
        """
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, which the protocol runs, not the page."""
        answer = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, *, file: Path | None = None) -> bytes:
        """Return the whole page as PNG, and write it to a file if one is named."""
        options = {"format": "png", "captureBeyondViewport": True}
        content = base64.b64decode(self.call("Page.captureScreenshot", options)["data"])
        if file:
            file.write_bytes(content)
        return content

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", {"printBackground": True})["data"])

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the page was opened."""
        sent = [each for each in self._browser.events if each["method"] == "Network.requestWillBeSent"]
        return [str(each["params"]["request"]["url"]) for each in sent]

    def complaints(self) -> list[str]:
        """Return what the browser has logged, such as something that the page's policy forbids."""
        logged = [each for each in self._browser.events if each["method"] == "Log.entryAdded"]
        return [str(each["params"]["entry"]["text"]) for each in logged]


def _higher(descriptor: int) -> int:
    """Return another number of an open file, and close this one."""
    number = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10)
    os.close(descriptor)
    return number


def ensure() -> None:
    """Install the browser if it is missing.

    Raises:
        NotPossibleError: it cannot be installed here.
    """
    apt.need({_PROGRAM: _PROGRAM}, why="the page of image.report in a browser")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser for the block; it is installed if it is missing.

    Raises:
        NotPossibleError: it cannot be installed here.
    """
    ensure()
    program = shutil.which(_PROGRAM, path=apt.PATH) or _PROGRAM
    # Its other processes may still write there as they end.
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        answers, from_browser = os.pipe()
        to_browser, commands = os.pipe()
        # The browser reads from descriptor 3 and writes to descriptor 4, so ours must be others.
        to_browser, from_browser = (_higher(each) for each in (to_browser, from_browser))
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        words = [program, *_OPTIONS, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        process = subprocess.Popen(
            ["/bin/bash", "-c", script, *words],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        running = Browser(answers, commands)
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            running.close()
