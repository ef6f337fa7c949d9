"""The steps of a command, and what is printed in them: live in a terminal, in groups in a CI system, else as lines.

stderr belongs to a whole process, so there is one `Progress` for all consoles.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from azureml_tasks.cli import status_line
from azureml_tasks.cli.ci_groups import groups_of
from azureml_tasks.cli.colour import painted
from azureml_tasks.cli.streams import write
from azureml_tasks.errors import AzuremlTasksError
from azureml_tasks.plain_text import clean
from azureml_tasks.reporter import StepEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.cli.colour import Style
    from azureml_tasks.cli.live_steps import LiveSteps
    from azureml_tasks.reporter import BuilderStep, LogFile


class Progress:
    """What this process shows on stderr."""

    def __init__(self) -> None:
        self._live: LiveSteps | None = None
        self._logs: list[LogFile] = []
        self._depth = 0

    @contextmanager
    def step(self, title: str, log: LogFile | None) -> Iterator[StepEnd]:
        """Show one step of the command, and write every line of it to *log* as well; see `Reporter.step`."""
        if log:
            self._logs.append(log)
        result = StepEnd()
        try:
            groups = groups_of()
            if groups:
                with self._grouped(groups.title(title), groups.end):
                    yield result
            elif is_live():
                with self._shown_live(title, result):
                    yield result
            else:
                yield result
        finally:
            if log:
                self._logs.remove(log)

    @contextmanager
    def _grouped(self, title: str, end: str) -> Iterator[None]:
        """Fold the outermost steps: the CI systems know no group in a group."""
        self._depth += 1
        if self._depth == 1:
            _print(title)
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                _print(end)

    @contextmanager
    def _shown_live(self, title: str, result: StepEnd) -> Iterator[None]:
        with self._display() as live:
            live.begin(title)
            try:
                yield
            except AzuremlTasksError as error:
                is_shown = live.fail(error.said, is_log=error.said_is_log)
                error.log_is_shown = error.log_is_shown or is_shown
                raise
            except BaseException:
                live.interrupt()
                raise
            if result.failed:
                live.fail()
            else:
                live.end()

    @contextmanager
    def _display(self) -> Iterator[LiveSteps]:
        """Yield the display of the terminal, which ends with the block that began it, in any case."""
        if self._live:
            yield self._live
            return
        from azureml_tasks.cli.live_steps import LiveSteps

        self._live = live = LiveSteps()
        try:
            yield live
        finally:
            self._live = None
            live.hide()

    @contextmanager
    def bar(self, label: str) -> Iterator[LiveSteps]:
        """Yield the display of the terminal for a bar with this label, which goes away with the block."""
        with self._display() as live:
            try:
                yield live
            finally:
                live.remove_bar(label)

    def line(self, text: str, style: Style = "") -> None:
        """Print *text*, which is cleaned; if that fails, the command goes on."""
        for log in self._logs:
            log.write(text)
        if self._live:
            self._live.line(text, style)
        else:
            _print(painted(text, style, sys.stderr))

    def output(self, line: str, step: BuilderStep | None, *, folded: bool) -> bool:
        """Show a line that another program printed, *folded* or not; return False if no step is shown."""
        if not self._live:
            return False
        for log in self._logs:
            log.write(clean(line))
        self._live.output(clean(line), step, folded=folded)
        return True

    def layer(self, name: str, current: int, total: int, *, has_arrived: bool) -> bool:
        """Show how much of a layer has moved; return False if there is nothing to show it in."""
        if not self._live:
            return False
        if has_arrived:
            self._live.remove_bar(name)
        elif total:
            self._live.show_bar(name, current, total)
        return True

    def update(self, text: str) -> None:
        """Show *text*, one line that is cleaned, in place of the one before; "" ends it."""
        if self._live:
            self._live.update(text)
        elif status_line.exists():
            status_line.show(text)

    def hide(self) -> None:
        """Take away what is shown live, so that something can be printed on stdout; it comes again."""
        if self._live:
            self._live.hide()


def is_live() -> bool:
    """Return whether steps are shown live: in a terminal that no CI system reads."""
    return status_line.exists() and groups_of() is None


def shows_steps() -> bool:
    """Return whether the title of a step is shown in any case: in a terminal or in a CI system."""
    return status_line.exists() or groups_of() is not None


def _print(text: str) -> None:
    with suppress(OSError):
        write(sys.stderr, text + "\n")


PROGRESS = Progress()
"""Of this process."""
