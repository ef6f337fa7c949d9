"""What a command reports: progress, warnings, and each effect before it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from azureml_tasks.notice import Notice


class BuilderStep(NamedTuple):
    """What a line of a builder's output says of one of its steps, such as an instruction of the Dockerfile.

    Args:
        id: of the step in this build; "" for lines that belong to none.
        instruction: of the Dockerfile; "" if it is not known, or not of interest.
        state: what has become of it with this line.
        text: what the step printed, cleaned; "" for a line that is the builder's own.
        seconds: that it took; None if the builder does not say it.
        is_alone: whether no other step runs beside it, so that those before it have ended.
    """

    id: str
    instruction: str = ""
    state: Literal["running", "done", "cached", "failed"] = "running"
    text: str = ""
    seconds: float | None = None
    is_alone: bool = False


@dataclass
class StepEnd:
    """How a step ended, if it raised nothing.

    Args:
        failed: whether it failed.
    """

    failed: bool = False


class LogFile(Protocol):
    """Takes all lines of a step; `state.step_log.StepLog` writes them to a file."""

    def write(self, text: str) -> None:
        """Write *text*, which is cleaned, and a line break."""


class Reporter(Protocol):
    """Takes what a command reports; `cli.console.Console` prints it."""

    @property
    def dry(self) -> bool:
        """Whether effects are only announced, as commands to paste, and not carried out."""

    @property
    def echo(self) -> bool:
        """Whether effects are announced as they are carried out."""

    @property
    def verbose(self) -> bool:
        """Whether more is reported than a person usually reads."""

    def for_images(self, names: Sequence[str]) -> Sequence[Reporter]:
        """Return a reporter for each of several images, which names the image in what it reports."""

    def spell(self, text: str) -> str:
        """Return *text*, which names tasks as `invoke image.build`, as commands to paste here."""

    def say(self, text: str) -> None:
        """Report progress."""

    def update(self, text: str) -> None:
        """Show *text* while something lasts, in place of what this showed before; "" as it ends."""

    def step(
        self, title: str, *, log: LogFile | None = None, announced: bool = False
    ) -> AbstractContextManager[StepEnd]:
        """Report that a step of the command begins, and with the end of the block how it ended and after how long.

        The block may note in what it gets that the step failed, if that raises no error.

        Args:
            title: what it does, such as `build a:1`.
            log: takes every line that is reported in it.
            announced: report the title in a pipe as well, which shows no steps.
        """

    def output(self, line: str, step: BuilderStep | None = None) -> None:
        """Report a line that another program printed.

        Args:
            line: as it came.
            step: what it says, if the program is a builder.
        """

    def layer(self, name: str, *, current: int = 0, total: int = 0, arrived: str = "") -> None:
        """Report how much of a layer has moved.

        Args:
            name: of the layer.
            current: bytes that have moved.
            total: bytes that it has; 0 if that is not known.
            arrived: how it arrived, such as `pushed`; "" while it moves.
        """

    def warn(self, notice: Notice) -> None:
        """Report what deserves attention and stops nothing."""

    def effect(self, argv: Sequence[str], *, before: str = "", after: str = "", file: str = "") -> bool:
        """Announce the effect that *argv* stands for. Return False if it must not be carried out.

        Args:
            argv: the command that has the same effect.
            before: what is piped into it, as a person would type it.
            after: further words, as a person would type them.
            file: the text that it reads from its standard input.
        """

    def effects(self, commands: Iterable[Sequence[str]]) -> bool:
        """Announce *commands*, which together stand for one effect. Return False if it must not be carried out."""

    def progress(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        """Pass *blocks* on and report how much of *total* bytes has passed."""
