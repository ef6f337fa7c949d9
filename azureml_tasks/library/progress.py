"""What a function reports while it runs: an event for the caller's callback."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from azureml_tasks.cli.console import spell_tasks
from azureml_tasks.errors import spell_commands
from azureml_tasks.plain_text import clean
from azureml_tasks.reporter import StepEnd
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from azureml_tasks.commands.results import StepResult
    from azureml_tasks.notice import Notice
    from azureml_tasks.reporter import BuilderStep, LogFile


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One event of a function that runs.

    Args:
        kind: "text" for a line of progress, "warning", "bytes" for a part of a transfer, "result" as a step ends.
        text: for people, safe to print; of a transfer what is sent; "" for a result.
        image_name: which of the table's images it is about; "" if the table itself is the image, or for all.
        done: bytes that are sent by now.
        total: bytes that will have been sent at the end.
        result: of the step that has ended.
        notice: the warning with its code, file and line.
    """

    kind: Literal["text", "warning", "bytes", "result"]
    text: str = ""
    image_name: str = ""
    done: int = 0
    total: int = 0
    result: StepResult | None = None
    notice: Notice | None = None


class CallbackReporter(NamedTuple):
    """Passes what a command reports to a callback; see `reporter.Reporter`.

    Args:
        callback: takes each event.
        warnings: that were reported; each is reported once, although it may be about what all images share.
        logs: of the steps that run; each takes every line that is reported.
        flags: of this run that a command to paste repeats, name → words such as `--registry r.io`.
        image: the one of several images that it is about; "" for one image or for all.
    """

    callback: Callable[[Progress], None]
    warnings: set[str]
    logs: list[LogFile]
    flags: Mapping[str, str] = MappingProxyType({})
    image: str = ""

    @property
    def dry(self) -> bool:
        """Return False: a function does what it says."""
        return False

    @property
    def echo(self) -> bool:
        """Return False: effects are not announced."""
        return False

    @property
    def verbose(self) -> bool:
        """Return False: what an event says is short."""
        return False

    def for_images(self, names: Sequence[str]) -> tuple[CallbackReporter, ...]:
        """Return a reporter for each of several images."""
        return tuple(self._replace(image=name) for name in names)

    def spell(self, text: str) -> str:
        """Return *text* with our tasks as commands of the program, which needs no `tasks.py`."""
        text = text.replace("add: --project ", "name it as the project: ")  # A function has no flags.
        return spell_tasks(text, "azureml-image ", self.flags, image=self.image)

    def say(self, text: str) -> None:
        """Report progress."""
        self._report(clean(self.spell(text)))

    def _report(self, text: str) -> None:
        for log in self.logs:
            log.write(text)
        self.callback(Progress(kind="text", text=text, image_name=self.image))

    def update(self, text: str) -> None:
        """Report nothing: what changes many times is for a terminal."""

    @contextmanager
    def step(self, title: str, *, log: LogFile | None = None, announced: bool = False) -> Iterator[StepEnd]:
        """Let *log* take what is reported in the block; its end is an event only as a result."""
        if announced:
            self.say(title)
        self.logs.extend([log] if log else [])
        try:
            yield StepEnd()
        finally:
            if log:
                self.logs.remove(log)

    def output(self, line: str, step: BuilderStep | None = None) -> None:
        """Report a line of another program as progress."""
        del step
        self._report(clean(spell_commands(line, self.spell)))

    def layer(self, name: str, *, current: int = 0, total: int = 0, arrived: str = "") -> None:
        """Report a layer that has arrived."""
        del current
        if arrived:
            size = f"{size_text(total)}, " if total else ""
            self.say(f"  layer {name}: {size}{arrived}")

    def warn(self, notice: Notice) -> None:
        """Report a warning, of several images once."""
        text = str(notice)
        if text not in self.warnings:
            self.warnings.add(text)
            text = clean(self.spell(text))
            self.callback(Progress(kind="warning", text=text, image_name=self.image, notice=notice))

    def effect(self, argv: Sequence[str], *, before: str = "", after: str = "", file: str = "") -> bool:
        """Return True: each effect is carried out."""
        del argv, before, after, file
        return True

    def effects(self, commands: Iterable[Sequence[str]]) -> bool:
        """Return True: each effect is carried out."""
        del commands
        return True

    def progress(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        """Pass *blocks* on, and report each hundredth of *total* bytes."""
        done, percent = 0, -1
        for block in blocks:
            yield block
            done += len(block)
            if total and done * 100 // total > percent:
                percent = done * 100 // total
                self.callback(
                    Progress(kind="bytes", text=label, image_name=self.image, done=done, total=total)
                )

    def ended(self, result: StepResult) -> None:
        """Report the result of a step."""
        self.callback(Progress(kind="result", image_name=result.image_name, result=result))
