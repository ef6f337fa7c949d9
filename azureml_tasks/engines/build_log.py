"""Split a builder's output into steps, so that an error shows the last lines of the step that failed."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass, field

from azureml_tasks.plain_text import clean
from azureml_tasks.project.dockerfile_cut import StepPlace
from azureml_tasks.reporter import BuilderStep

OUR_SCRIPT = re.compile(r"RUN .*/tmp/azureml-image/(install|download)\.py")
"""The instruction that runs a script of azureml-tasks, which has its name."""
_TAIL = 20  # lines
_LONGEST_LINE = 2000  # characters
_BUILDKIT = r"#(?P<number>\d+)(?: (?P<time>\d+\.\d+)(?!\S))? ?(?P<text>.*)"
_BUILDKIT_STEP = r"\[(?:internal|(?P<stage>[\w. -]*?) *(?P<place>\d+)/\d+)\] (?P<instruction>.*)"
_BUILDKIT_STATUS = r"sha256:|DONE|CACHED|CANCELED|\.\.\."
_BUILDKIT_DONE = r"DONE (?P<seconds>\d+\.\d+)s"
_LEGACY_STEP = r"(?:Step|STEP) (?P<number>\d+)/\d+ ?: (?P<instruction>.*)"
_LEGACY_RUNNING = r" ---> Running in (?P<id>[0-9a-f]+)"
_LEGACY_CACHED = " ---> Using cache"
_LEGACY_OWN = r" ---> |--> |Removing intermediate container "
_LEGACY_STATUS = rf"{_LEGACY_OWN}|\s*$"


def _tails() -> defaultdict[str, deque[str]]:
    return defaultdict(lambda: deque(maxlen=_TAIL))


@dataclass(kw_only=True)
class BuildLog:
    """The steps of one build; it grows with each line that is added.

    Args:
        step: number of the step that failed or, for the legacy builder, is running; "" if none is known.
        instructions: of each step.
        places: of each step that is one of the Dockerfile.
        tails: the last lines of each step.
        container: short ID of the container in which the legacy builder runs a step; "" if none runs.
        internal: the numbers of BuildKit's own steps, which are no instructions of the Dockerfile.
    """

    step: str = ""
    instructions: dict[str, str] = field(default_factory=dict)
    places: dict[str, StepPlace] = field(default_factory=dict)
    tails: defaultdict[str, deque[str]] = field(default_factory=_tails)
    container: str = ""
    internal: set[str] = field(default_factory=set)

    @property
    def instruction(self) -> str:
        """The instruction of the step that failed; "" if no step failed."""
        return self.instructions.get(self.step, "")

    @property
    def place(self) -> StepPlace | None:
        """Which step of the Dockerfile failed; None if no step of it did."""
        return self.places.get(self.step)

    @property
    def last_lines(self) -> str:
        """The last lines of the step that failed."""
        return "\n".join(self.tails[self.step])

    def add_buildkit_line(self, line: str) -> BuilderStep:
        """Add a line of BuildKit's plain output, in which the lines of several steps alternate; return what it says.

        It is added as it came: cleaned before, what a step prints after a carriage return would look like a line of
        BuildKit's own.
        """
        match = re.fullmatch(_BUILDKIT, line)
        if not match:
            # The summary; it repeats the lines of the failed step and is used only if no step failed.
            self._keep("", line)
            return BuilderStep("")
        number, text = match["number"], clean(match["text"])
        if match["time"]:
            if text:
                self._keep(number, text)
            return self._reported(number, text=text)
        if step := re.fullmatch(_BUILDKIT_STEP, text):
            self.instructions[number] = step["instruction"]
            if step["place"]:
                name = _name(step["instruction"])
                self.places[number] = StepPlace(int(step["place"]), name, step["stage"].strip())
            else:
                self.internal.add(number)
            return self._reported(number)
        if text and not re.match(_BUILDKIT_STATUS, text):
            self._keep(number, text)
        if text.startswith("ERROR: "):
            self.step = number
            return self._reported(number)._replace(state="failed")
        if text == "CACHED":
            return self._reported(number)._replace(state="cached")
        if done := re.fullmatch(_BUILDKIT_DONE, text):
            return self._reported(number)._replace(state="done", seconds=float(done["seconds"]))
        return self._reported(number)

    def add_legacy_line(self, line: str) -> BuilderStep:
        """Add a line of the legacy builder or of Podman, which run one step after the other; return what it says."""
        if step := re.fullmatch(_LEGACY_STEP, line):
            self.step = step["number"]
            # One step after the other: those before have succeeded. What a step prints may look like steps, too.
            self.instructions = {self.step: step["instruction"]}
            place = StepPlace(int(self.step), _name(step["instruction"]), counts_all=True)
            self.places = {self.step: place}
            self.tails = _tails()
        elif running := re.fullmatch(_LEGACY_RUNNING, line):
            self.container = running["id"]
        elif line == _LEGACY_CACHED:
            return self._alone()._replace(state="cached")
        elif not re.match(_LEGACY_STATUS, line):
            self._keep(self.step, line)
            return self._alone()._replace(text=clean(line))
        elif line.startswith("Removing"):
            self.container = ""
        return self._alone()

    def _alone(self) -> BuilderStep:
        return self._reported(self.step)._replace(is_alone=True)

    def _reported(self, number: str, *, text: str = "") -> BuilderStep:
        instruction = "" if number in self.internal else self.instructions.get(number, "")
        return BuilderStep(number, instruction, text=text)

    def add_error(self, text: str) -> None:
        """Add the engine's own message about the step that failed."""
        self._keep(self.step, text)

    def _keep(self, step: str, text: str) -> None:
        text = clean(text)
        self.tails[step].append(text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…")


def is_legacy_status(text: str) -> bool:
    """Return whether *text* begins with a line of the legacy builder's own, which no command of a step has printed."""
    return bool(re.match(rf"{_LEGACY_STEP}|{_LEGACY_OWN}", text))


def _name(instruction: str) -> str:
    return instruction.partition(" ")[0].upper()
