"""What a person sees: results on stdout; progress, warnings and effects on stderr."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.plain_text import clean, shell_join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TASK = re.compile(
    r"\binvoke image\."
    r"(?=(build|cache|check|clean|context|dockerfile|environment|push|release|resume|smoke-test)\b)"
)
_PERCENT_PER_LINE = 10
"""Without a terminal, progress is a line for every tenth of the whole."""
_SMALL = 64 * 1024 * 1024
"""Bytes up to which no such line is worth it."""


def spell_tasks(text: str, task_prefix: str) -> str:
    """Return *text*, which names our tasks as `invoke image.build`, with *task_prefix* such as "serving." or ""."""
    return _TASK.sub(f"invoke {task_prefix}", text)


class Console(NamedTuple):
    """Prints what a command reports; see `reporter.Reporter`.

    Args:
        dry: print effects as commands to paste, and do not carry them out.
        echo: print effects on stderr as they are carried out.
        task_prefix: what a person types before the name of a task.
        flags: flags that a command to paste needs to mean the same project and base.
    """

    dry: bool = False
    echo: bool = False
    task_prefix: str = "image."
    flags: str = ""

    def spell(self, text: str) -> str:
        """Return *text* with our tasks named as they are called here."""
        return spell_tasks(text, self.task_prefix)

    def result(self, text: str) -> None:
        """Print a result on stdout."""
        self.step_command(clean(text))

    def step_command(self, text: str) -> None:
        """Print a command that the CI system is meant to obey, whose values are cleaned."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Print progress on stderr."""
        sys.stderr.write(clean(self.spell(text)) + "\n")
        sys.stderr.flush()

    def warn(self, text: str) -> None:
        """Print a warning on stderr."""
        self.say(f"warning: {text}")

    def effect(self, argv: Sequence[str], *, before: str = "", file: str = "") -> bool:
        """Print the effect that *argv* stands for. Return False under --dry."""
        command = self.spell(before) + shell_join(argv)
        command += f" <<'EOF'\n{file}EOF" if file else ""
        if self.dry:
            self.result(command)
        elif self.echo:
            self.say(command)
        return not self.dry

    def effects(self, commands: Iterable[Sequence[str]]) -> bool:
        """Print *commands*, which together stand for one effect. Return False under --dry."""
        return {self.effect(argv) for argv in commands} == {True}

    def progress(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        """Pass *blocks* on and show how much of *total* bytes has passed: a bar in a terminal, else lines."""
        if sys.stderr.isatty():
            yield from _bar(blocks, total, label)
        else:
            yield from self._lines(blocks, total, label)

    def _lines(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        passed, next_line, start = 0, _PERCENT_PER_LINE, time.monotonic()
        for block in blocks:
            yield block
            passed += len(block)
            while total > _SMALL and passed * 100 >= total * next_line:
                seconds = time.monotonic() - start
                self.say(f"{label}: {next_line} % of {total / 1e6:,.0f} MB after {seconds:.1f} s")
                next_line += _PERCENT_PER_LINE


def _bar(blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
    from tqdm import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, desc=label, leave=False) as bar:
        for block in blocks:
            yield block
            bar.update(len(block))
