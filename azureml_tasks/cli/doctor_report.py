"""The report of `image.doctor`, for people, and what a terminal shows meanwhile."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import cycle
from textwrap import wrap
from typing import TYPE_CHECKING

from azureml_tasks.cli import status_line
from azureml_tasks.engines.doctor_finding import Status
from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from azureml_tasks.cli.colour import Style
    from azureml_tasks.commands.doctor import Diagnosis
    from azureml_tasks.engines.doctor_finding import Finding

_STATUS_WIDTH = max(len(status.value) for status in Status)
STYLES: Mapping[str, Style] = {
    Status.OK.value: "good",
    Status.WARNING.value: "warning",
    Status.UNKNOWN.value: "warning",
    Status.BLOCKS.value: "bad",
}
"""The first word of a finding's first line → its style."""
_NAME_WIDTH = len("proxies of the engine")
_FRAMES = "|/-\\"
_WIDEST = 70
"""Characters of the line that a terminal shows meanwhile."""
_NARROWEST = 30
"""Characters beside the names, below which sentences are left to the terminal."""


def as_text(diagnosis: Diagnosis, spell: Callable[[str], str], *, width: int = 0) -> str:
    """Return the report for a person.

    Args:
        diagnosis: what was found.
        spell: returns a text with our tasks as commands to paste.
        width: characters of a line, at which sentences are continued below; 0 for any number.
    """
    rows = [row for finding in diagnosis.findings for row in _rows(finding, spell, width)]
    return "\n".join([*rows, "", *_summary(diagnosis, spell)])


def terminal_width() -> int:
    """Return the width of the terminal that stdout is; 0 if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def blocking_error(diagnosis: Diagnosis) -> EngineError:
    """Return the error with which the task ends if something blocks."""
    names = ", ".join(dict.fromkeys(each.name for each in diagnosis.blocking))
    return EngineError(f"Nothing can be built before this is put right: {names}.")


@contextmanager
def spinner() -> Iterator[Callable[[Sequence[str]], None]]:
    """Yield what shows the names of what has not answered yet on one line of a terminal, and nothing elsewhere."""
    if not status_line.exists():
        yield lambda _: None
        return
    frames = cycle(_FRAMES)

    def show(names: Sequence[str]) -> None:
        text = one_line(", ".join(names))
        shown = text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
        status_line.show(f"{next(frames)} {shown}" if names else "")

    try:
        yield show
    finally:
        status_line.show("")


def _rows(finding: Finding, spell: Callable[[str], str], width: int) -> Iterator[str]:
    """Yield the lines of a finding; what is to be pasted stays in one line."""
    start = f"{finding.status.value:<{_STATUS_WIDTH}} {finding.name:<{_NAME_WIDTH}} "
    indent = " " * len(start)
    yield from _wrapped(start, one_line(spell(finding.what)), indent, width)
    if finding.why:
        yield from _wrapped(f"{indent}why: ", one_line(spell(finding.why)), f"{indent}     ", width)
    for index, line in enumerate(clean(spell(finding.fix)).splitlines()):
        yield f"{indent}{'fix:' if index == 0 else '    '} {line}"


def _wrapped(start: str, text: str, indent: str, width: int) -> list[str]:
    if width < len(indent) + _NARROWEST:
        return [start + text]
    return wrap(
        text,
        width,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _summary(diagnosis: Diagnosis, spell: Callable[[str], str]) -> Iterator[str]:
    counts = Counter(each.status for each in diagnosis.findings)
    blocks, warnings, unknown = (counts[each] for each in (Status.BLOCKS, Status.WARNING, Status.UNKNOWN))
    texts = [f"{blocks} blocking problem{'' if blocks == 1 else 's'}"] if blocks else []
    texts += [f"{warnings} warning{'' if warnings == 1 else 's'}"] if warnings else []
    texts += [f"{unknown} unknown"] if unknown else []
    yield ", ".join(texts) or "nothing is wrong"
    if diagnosis.repaired:
        yield f"put right: {', '.join(diagnosis.repaired)}"
    if diagnosis.repairable:
        names = ", ".join(each.name for each in diagnosis.repairable)
        yield f"next: {spell('invoke image.doctor --fix')}, which puts right: {names}"
