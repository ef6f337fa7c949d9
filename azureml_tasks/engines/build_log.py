"""What a builder prints, taken apart into steps, so that a failure shows its own step's lines and no others."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass, field

__all__ = ["BuildLog"]

_TAIL = 20
_BUILDKIT = r"#(?P<number>\d+)(?: (?P<time>\d+\.\d+)(?!\S))? ?(?P<text>.*)"
_BUILDKIT_NAME = r"\[(?:internal|[\w -]*\d+/\d+)\] (?P<name>.*)"
_LEGACY_NAME = r"(?:Step|STEP) (?P<number>\d+)/\d+ ?: (?P<name>.*)"
_LEGACY_RUNNING = r" ---> Running in (?P<id>[0-9a-f]+)"
_OF_BUILDKIT_ITSELF = r"sha256:|DONE|CACHED|CANCELED|\.\.\."
_OF_LEGACY_ITSELF = r" ---> |--> |Removing intermediate container |\s*$"


def _tails() -> defaultdict[str, deque[str]]:
    return defaultdict(lambda: deque(maxlen=_TAIL))


@dataclass(kw_only=True)
class BuildLog:
    """The steps of one build.

    Args:
        at: number of the step that failed or, on the legacy builder, is under way; "" for what none says.
        names: the instruction of each step.
        tails: the last lines of each.
        container: short id of the one that a step of the legacy builder runs in; "" while none does.
    """

    at: str = ""
    names: dict[str, str] = field(default_factory=dict)
    tails: defaultdict[str, deque[str]] = field(default_factory=_tails)
    container: str = ""

    @property
    def name(self) -> str:
        """The instruction of the step that failed; "" where it is none's."""
        return self.names.get(self.at, "")

    @property
    def said(self) -> str:
        """The last lines of the step that failed."""
        return "\n".join(self.tails[self.at])

    def buildkit(self, line: str) -> None:
        """Take in a line of BuildKit's plain output, in which steps speak in turns."""
        match = re.fullmatch(_BUILDKIT, line)
        if not match:
            # The summary; it repeats what the failed step said, and counts where none did.
            self.tails[""].append(line)
            return
        number, text = match["number"], match["text"]
        if not match["time"] and (named := re.fullmatch(_BUILDKIT_NAME, text)):
            self.names[number] = named["name"]
        elif text and (match["time"] or not re.match(_OF_BUILDKIT_ITSELF, text)):
            self.tails[number].append(text)
        if not match["time"] and text.startswith("ERROR: "):
            self.at = number

    def legacy(self, line: str) -> None:
        """Take in a line of the legacy builder's output, or of Podman's: one step after the other."""
        if named := re.fullmatch(_LEGACY_NAME, line):
            self.at = named["number"]
            self.names[self.at] = named["name"]
        elif running := re.fullmatch(_LEGACY_RUNNING, line):
            self.container = running["id"]
        elif not re.match(_OF_LEGACY_ITSELF, line):
            self.tails[self.at].append(line)
        elif line.startswith("Removing"):
            self.container = ""

    def refused(self, text: str) -> None:
        """Take in what the engine says of the step that it gave up at."""
        self.tails[self.at].append(text)
