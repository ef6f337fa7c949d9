"""Split a builder's output into steps, so that an error shows the last lines of the step that failed."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass, field

from azureml_tasks.plain_text import clean

_TAIL = 20  # lines
_LONGEST_LINE = 2000  # characters
_BUILDKIT = r"#(?P<number>\d+)(?: (?P<time>\d+\.\d+)(?!\S))? ?(?P<text>.*)"
_BUILDKIT_STEP = r"\[(?:internal|[\w -]*\d+/\d+)\] (?P<instruction>.*)"
_BUILDKIT_STATUS = r"sha256:|DONE|CACHED|CANCELED|\.\.\."
_LEGACY_STEP = r"(?:Step|STEP) (?P<number>\d+)/\d+ ?: (?P<instruction>.*)"
_LEGACY_RUNNING = r" ---> Running in (?P<id>[0-9a-f]+)"
_LEGACY_STATUS = r" ---> |--> |Removing intermediate container |\s*$"


def _tails() -> defaultdict[str, deque[str]]:
    return defaultdict(lambda: deque(maxlen=_TAIL))


@dataclass(kw_only=True)
class BuildLog:
    """The steps of one build; it grows with each line that is added.

    Args:
        step: number of the step that failed or, for the legacy builder, is running; "" if none is known.
        instructions: of each step.
        tails: the last lines of each step.
        container: short ID of the container in which the legacy builder runs a step; "" if none runs.
    """

    step: str = ""
    instructions: dict[str, str] = field(default_factory=dict)
    tails: defaultdict[str, deque[str]] = field(default_factory=_tails)
    container: str = ""

    @property
    def instruction(self) -> str:
        """The instruction of the step that failed; "" if no step failed."""
        return self.instructions.get(self.step, "")

    @property
    def last_lines(self) -> str:
        """The last lines of the step that failed."""
        return "\n".join(self.tails[self.step])

    def add_buildkit_line(self, line: str) -> None:
        """Add a line of BuildKit's plain output, in which the lines of several steps alternate.

        It is added as it came: cleaned before, what a step prints after a carriage return would look like a line of
        BuildKit's own.
        """
        match = re.fullmatch(_BUILDKIT, line)
        if not match:
            # The summary; it repeats the lines of the failed step and is used only if no step failed.
            self._keep("", line)
            return
        number, text = match["number"], clean(match["text"])
        if not match["time"] and (step := re.fullmatch(_BUILDKIT_STEP, text)):
            self.instructions[number] = step["instruction"]
        elif text and (match["time"] or not re.match(_BUILDKIT_STATUS, text)):
            self._keep(number, text)
        if not match["time"] and text.startswith("ERROR: "):
            self.step = number

    def add_legacy_line(self, line: str) -> None:
        """Add a line of the legacy builder or of Podman, which run one step after the other."""
        if step := re.fullmatch(_LEGACY_STEP, line):
            self.step = step["number"]
            # One step after the other: those before have succeeded. What a step prints may look like steps, too.
            self.instructions = {self.step: step["instruction"]}
            self.tails = _tails()
        elif running := re.fullmatch(_LEGACY_RUNNING, line):
            self.container = running["id"]
        elif not re.match(_LEGACY_STATUS, line):
            self._keep(self.step, line)
        elif line.startswith("Removing"):
            self.container = ""

    def add_error(self, text: str) -> None:
        """Add the engine's own message about the step that failed."""
        self._keep(self.step, text)

    def _keep(self, step: str, text: str) -> None:
        text = clean(text)
        self.tails[step].append(text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…")
