"""The log of a run, step by step.

The agent prints lines of its own between the output of the steps (Azure/acr-builder, builder/builder.go): "Executing
step ID: X." before each, and at the end "failed to run step ID: X: …" if one failed. Which step failed decides what a
failure means; what a step prints does not.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from azureml_tasks.engines.build_log import BuildLog
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from azureml_tasks.reporter import BuilderStep

_TAIL = 40  # lines
_MOST_STEPS = 100
"""A run has about ten; what a step prints may look like the beginning of others."""
_AGENT = r"\d{4}/\d\d/\d\d [\d:]+ "
_AGENT_LINE = re.compile(rf"{_AGENT}|failed to run step ID: |Run ID: ")
"""Lines that the agent itself prints."""
_STEP = re.compile(rf"{_AGENT}Executing step ID: ([\w.-]+)\. ")
_FAILED_STEP = re.compile(r"failed to run step ID: ([\w.-]+): ")
_BUILDKIT = re.compile(r"#\d+ ")
_LEGACY = re.compile(r"Sending build context |Step \d+/\d+ :")


@dataclass(kw_only=True)
class StepLog:
    """The output of one step.

    Args:
        build: the steps of its Dockerfile, if it is a build.
        tail: its last lines.
        is_buildkit: whether BuildKit builds; None until its first line.
    """

    build: BuildLog = field(default_factory=BuildLog)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    is_buildkit: bool | None = None

    def add(self, line: str) -> BuilderStep | None:
        """Add a line, and return what it says of the Dockerfile's steps; None if no build printed it.

        It is added as it came: cleaned before, what a step overwrites would look like a line of the builder's own.
        """
        self.tail.append(clean(line))
        if _AGENT_LINE.match(line):
            return None
        if self.is_buildkit is None and (_BUILDKIT.match(line) or _LEGACY.match(line)):
            self.is_buildkit = _BUILDKIT.match(line) is not None
        if self.is_buildkit is None:
            return None
        return (self.build.add_buildkit_line if self.is_buildkit else self.build.add_legacy_line)(line)


@dataclass(kw_only=True)
class RunLog:
    """What the log of a run says.

    Args:
        tail: its last lines.
        steps: the output of each step by its ID, in their order; before the first step the ID is "".
        step: the ID of the step that printed last.
        failed_step: the ID of the step that failed; "" if the agent names none.
        complete: whether the log was read to its end.
    """

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    steps: dict[str, StepLog] = field(default_factory=lambda: {"": StepLog()})
    step: str = ""
    failed_step: str = ""
    complete: bool = False

    def add(self, line: str) -> BuilderStep | None:
        """Add a line as it came, and return what it says of a step of a Dockerfile, by an ID of this run."""
        self.tail.append(clean(line))
        if (match := _STEP.match(line)) and (match[1] in self.steps or len(self.steps) < _MOST_STEPS):
            self.step = match[1]
        if match := _FAILED_STEP.match(line):
            self.failed_step = match[1]
        step = self.steps.setdefault(self.step, StepLog()).add(line)
        return step and step._replace(id=f"{self.step}/{step.id}")

    @property
    def failed(self) -> StepLog | None:
        """The output of the step that failed; None if the agent names none."""
        return self.steps.get(self.failed_step) if self.failed_step else None
