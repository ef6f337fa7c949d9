"""Steps as a terminal shows them: one line for each that has ended, and below them, live, what is going on.

Other programs' lines are shown dimmed while their step runs. They go away with it if it succeeds, and stay if it fails.
"""

from __future__ import annotations

import re
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from azureml_tasks.cli.colour import is_coloured
from azureml_tasks.cli.streams import write
from azureml_tasks.engines.build_log import OUR_SCRIPT
from azureml_tasks.plain_text import one_line
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from azureml_tasks.cli.colour import Style
    from azureml_tasks.reporter import BuilderStep

_STYLES = {"": "", "bad": "red", "dim": "dim", "good": "green", "next": "bold", "warning": "yellow"}
_PER_SECOND = 8
"""Times that the display is drawn again."""
_MINUTE = 60
_WIDEST = 100
"""Characters of a line with a time at its end."""
_ECHO = "^C"
"""What a terminal itself writes; a line that it would continue on the next one would not be overwritten."""
_TIME_WIDTH = 10
_BAR_WIDTH = 20
_TAIL = 5
"""Lines of another program that are shown while it runs."""
_MOST_STEPS, _MOST_BARS = 3, 8
"""Of these many are shown at once: a terminal may have few lines."""
_MOST_KEPT = 5000
"""Lines of a step that are kept, to show them if it fails; the log has all."""
_UNICODE_MARKS = ("✓", "✗", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
_ASCII_MARKS = ("+", "x", "|/-\\")
_SHOWN_INSTRUCTION = re.compile(r"(FROM|RUN|COPY|ADD|WORKDIR)\b", re.IGNORECASE)
"""The others take no time."""
_OUR_TITLES = {"install": "install the Python packages", "download": "download the Python packages"}


class _Stderr:
    """stderr, for `rich`; a terminal that is gone stops nothing."""

    encoding = property(lambda _: getattr(sys.stderr, "encoding", None) or "ascii")

    def write(self, text: str) -> None:
        with suppress(OSError):
            write(sys.stderr, text)

    def flush(self) -> None:
        """Do nothing: `write` flushes."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return sys.stderr.fileno()


class _Screen(Console):
    """A console that leaves the cursor alone: a program that is stopped or killed cannot show it again."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 -- the signature of rich
        """Do nothing, and say so."""
        return False


@dataclass
class _Running:
    """A step that has not ended.

    Args:
        title: what it does.
        began: seconds of the clock.
        lines: that it has printed.
    """

    title: str
    began: float = field(default_factory=time.monotonic)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_KEPT))

    def time_text(self) -> str:
        """Return how long it has lasted by now."""
        return _time_text(time.monotonic() - self.began)


class LiveSteps:
    """The display of one terminal. Every method may be called in any thread."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._steps: list[_Running] = []
        self._builder: dict[tuple[str, str], _Running] = {}
        self._over: set[tuple[str, str]] = set()
        self._failed = ("", "")
        self._is_folded = True
        self._is_alone = False
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._bars: dict[str, tuple[int, int]] = {}
        self._status = ""
        self._live: Live | None = None
        self._hidden = Event()
        stderr: Any = _Stderr()  # Of a file, rich uses these methods alone.
        is_unicode = str(stderr.encoding).lower().startswith("utf")
        self._done, self._not_done, self._frames = _UNICODE_MARKS if is_unicode else _ASCII_MARKS
        self._screen = _Screen(
            file=stderr,
            force_terminal=True,
            color_system="standard" if is_coloured(sys.stderr) else None,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def begin(self, title: str) -> None:
        """Begin a step of the command."""
        with self._lock:
            self._steps.append(_Running(one_line(title)))
            self._show()

    def end(self) -> None:
        """End the step that was begun last, which has succeeded."""
        with self._lock:
            self._end_builder_steps()
            self._end(self._done, "good")

    def interrupt(self) -> None:
        """End the step that was begun last, which did not come to its end."""
        with self._lock:
            self._end_failed_step()
            self._end(self._not_done, "bad")

    def fail(self, cause: str = "", *, is_log: bool = False) -> bool:
        """End the step that was begun last, which has failed, and show in full what was printed in it.

        Args:
            cause: what the message that follows is about to show; what it shows is not shown here as well.
            is_log: whether *cause* is the end of the log instead, which the message leaves out if it is shown here.

        Returns:
            Whether there was anything to show.
        """
        with self._lock:
            lines, again = self._end_failed_step(), cause.splitlines()
            if not is_log and again and again[0] in lines:
                lines = lines[: lines.index(again[0])]
            elif is_log and lines:
                overlap = next((n for n in range(len(again), 0, -1) if lines[-n:] == again[:n]), 0)
                lines += again[overlap:]
            for line in lines:
                self._print(f"  {line}", "dim")
            is_shown = bool(lines) or not self._is_folded
            self._end(self._not_done, "bad")
            return is_shown

    def _end_failed_step(self) -> list[str]:
        """Print the end of the builder's step that failed, and return what it has printed.

        Without such a step, return what was printed in the command's own. If nothing is folded, all is shown already.
        """
        last = next(reversed(self._builder), self._failed)
        step = self._builder.get(self._failed, self._builder.get(last))
        if step:
            self._print_end(step.title, step.time_text(), self._not_done, "bad", depth=len(self._steps))
        lines = list((step or self._steps[-1]).lines)
        return lines if self._is_folded else []

    def _end(self, mark: str, style: Style) -> None:
        ended = self._steps.pop()
        self._builder, self._over, self._failed = {}, set(), ("", "")
        self._is_folded, self._is_alone, self._status = True, False, ""
        self._tail.clear()
        self._bars.clear()
        self._print_end(ended.title, ended.time_text(), mark, style, depth=len(self._steps))
        if not self._steps:
            self.hide()

    def line(self, text: str, style: Style = "") -> None:
        """Print a line of azureml-tasks itself above the live part, indented below its step."""
        with self._lock:
            if self._is_alone:  # Such a builder does not say when its last step ends.
                self._end_builder_steps()
            self._print(text, style)

    def _print(self, text: str, style: Style) -> None:
        start = "  " * len(self._steps)
        indented = "\n".join(f"{start}{line}" for line in text.split("\n"))
        self._screen.print(Text(indented, style=_STYLES[style]), soft_wrap=True)

    def update(self, text: str) -> None:
        """Show *text* as one more line, in place of the one before; "" for none."""
        with self._lock:
            self._status = text
            self._show()

    def output(self, line: str, step: BuilderStep | None, *, folded: bool) -> None:
        """Show a line that another program printed, while its step runs, or for good if it is not *folded*."""
        with self._lock:
            self._is_folded = folded
            if step and step.id and step.instruction:
                self._take(step)
            if not folded:
                self._print(line, "dim")
            elif step is None:
                self._steps[-1].lines.append(line)
                self._tail.append(line)
            self._show()

    def _take(self, step: BuilderStep) -> None:
        """Take what a line says of a step of a builder."""
        key = (step.id, step.instruction)
        if key in self._over:
            return
        self._is_alone = step.is_alone
        if key not in self._builder:
            if step.is_alone:
                self._end_builder_steps()
            self._builder[key] = _Running(_title(step.instruction))
        if step.text and self._is_folded:
            self._builder[key].lines.append(step.text)
            self._tail.append(step.text)
        if step.state == "failed":
            self._failed = key
        elif step.state != "running":
            self._end_builder_step(key, "cached" if step.state == "cached" else _time_text(step.seconds))

    def _end_builder_steps(self) -> None:
        for key, running in list(self._builder.items()):
            self._end_builder_step(key, running.time_text())

    def _end_builder_step(self, key: tuple[str, str], time_text: str) -> None:
        ended = self._builder.pop(key)
        self._over.add(key)
        self._tail.clear()
        if _SHOWN_INSTRUCTION.match(key[1]):
            self._print_end(ended.title, time_text, self._done, "good", depth=len(self._steps))

    def show_bar(self, label: str, current: int, total: int) -> None:
        """Show how many of *total* bytes have moved."""
        with self._lock:
            self._bars[one_line(label)] = (current, total)
            self._show()

    def remove_bar(self, label: str) -> None:
        """Take a bar away, if it is there."""
        with self._lock:
            self._bars.pop(one_line(label), None)
            if not self._steps and not self._bars:
                self.hide()

    def hide(self) -> None:
        """Take away what is live; what happens next in a step shows it again."""
        with self._lock:
            live, self._live = self._live, None
            self._hidden.set()
            if live:
                live.stop()

    def _show(self) -> None:
        if self._live:
            return
        self._hidden = Event()
        self._live = Live(
            console=self._screen,
            get_renderable=self._drawing,
            auto_refresh=False,  # Its thread has a lock of its own, and would wait for ours while we wait for it.
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)
        Thread(target=self._draw_until, args=(self._hidden,), daemon=True).start()

    def _draw_until(self, hidden: Event) -> None:
        while not hidden.wait(1 / _PER_SECOND):
            with self._lock:
                if self._live and not hidden.is_set():
                    self._live.refresh()

    def _print_end(self, title: str, time_text: str, mark: str, style: Style, *, depth: int) -> None:
        self._screen.print(
            self._step_line(title, time_text, mark, _STYLES[style], depth=depth), soft_wrap=True
        )

    def _step_line(self, title: str, time_text: str, mark: str, style: str, *, depth: int) -> Text:
        start = "  " * depth
        width = max(1, self._width - len(start) - 2 - _TIME_WIDTH)
        shown = f" {_cut(title, width):<{width}}"
        return Text.assemble(start, (mark, style), shown, (f"{time_text:>{_TIME_WIDTH}}", "dim"))

    @property
    def _width(self) -> int:
        return min(self._screen.width - len(_ECHO), _WIDEST)

    def _drawing(self) -> RenderableType:
        """Return what is live now."""
        with self._lock:
            frame = self._frames[int(time.monotonic() * _PER_SECOND) % len(self._frames)]
            depth = len(self._steps)
            dim = [f"{'  ' * depth}  {line}" for line in self._tail]
            dim += [f"{'  ' * depth}{self._status}"] if self._status else []
            return Group(
                *(
                    self._step_line(each.title, each.time_text(), frame, "cyan", depth=depth)
                    for each in list(self._builder.values())[-_MOST_STEPS:]
                ),
                *(Text(_cut(line, self._width), style="dim") for line in dim),
                *([self._bar_table()] if self._bars else []),
                *(
                    self._step_line(each.title, each.time_text(), frame, "cyan", depth=index)
                    for index, each in enumerate(self._steps)
                ),
            )

    def _bar_table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for label, (current, total) in list(self._bars.items())[-_MOST_BARS:]:
            moved = f"{size_text(min(current, total))} of {size_text(total)}"
            bar = ProgressBar(total=total, completed=current, width=_BAR_WIDTH)
            table.add_row(f"  {label}", bar, moved)
        return table


def _title(instruction: str) -> str:
    """Return a step's instruction on one line, or a title if it runs a script of azureml-tasks."""
    if ours := OUR_SCRIPT.match(instruction):
        return _OUR_TITLES[ours[1]]
    return " ".join(one_line(instruction).split())


def _cut(text: str, width: int) -> str:
    """Return *text* with at most *width* characters."""
    return text if len(text) <= width else f"{text[: max(0, width - 3)]}..."


def _time_text(seconds: float | None) -> str:
    """Return a time for people; "" if it is not known."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:02.0f} s"
