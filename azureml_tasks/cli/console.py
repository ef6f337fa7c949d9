"""What a person sees: results on stdout; progress, warnings and effects on stderr."""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.cli.streams import write
from azureml_tasks.plain_text import clean, shell_join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_TASK = re.compile(
    r"\binvoke image\."
    r"(build|cache|check|clean|context|dockerfile|environment|push|release|resume|smoke-test)\b"
)
_NO_FLAGS: Mapping[str, str] = MappingProxyType({})
_PERCENT_PER_LINE = 10
"""Without a terminal, progress is a line for every tenth of the whole."""
_SMALL = 64 * 1024 * 1024
"""Bytes up to which no such line is worth it."""


def spell_tasks(text: str, task_prefix: str, flags: Mapping[str, str] = _NO_FLAGS) -> str:
    """Return *text*, which names our tasks as `invoke image.build`, as commands to paste here.

    Args:
        text: for a person.
        task_prefix: what a person types before the name of a task, such as "serving." or "".
        flags: of this run, name → words; each task gets those that it takes and that the text does not give it.
    """
    return _TASK.sub(lambda task: f"invoke {task_prefix}{task[1]}{_missing_flags(task, flags)}", text)


def _missing_flags(task: re.Match[str], flags: Mapping[str, str]) -> str:
    if not flags:
        return ""
    from azureml_tasks.cli.tasks import TASKS

    taken = next(spec.flags for spec in TASKS if spec.name == task[1])
    given = task.string[task.end() :].partition("\n")[0].partition("invoke ")[0]
    return "".join(f" {words}" for name, words in flags.items() if name in taken and f"--{name}" not in given)


class Console(NamedTuple):
    """Prints what a command reports; see `reporter.Reporter`.

    Args:
        dry: print effects as commands to paste, and do not carry them out.
        echo: print effects on stderr as they are carried out.
        task_prefix: what a person types before the name of a task.
        flags: of this run that a command to paste repeats, name → words such as `--registry r.io`.
    """

    dry: bool = False
    echo: bool = False
    task_prefix: str = "image."
    flags: Mapping[str, str] = _NO_FLAGS

    def spell(self, text: str) -> str:
        """Return *text* with our tasks as commands that mean this project, engine, base and registry."""
        return spell_tasks(text, self.task_prefix, self.flags)

    def result(self, text: str) -> None:
        """Print a result on stdout.

        Raises:
            OSError: stdout cannot be written.
        """
        self.step_command(clean(text))

    def step_command(self, text: str) -> None:
        """Print a command that the CI system is meant to obey, whose values are cleaned."""
        write(sys.stdout, text + "\n")

    def say(self, text: str) -> None:
        """Print progress on stderr; if that fails, the command goes on."""
        with suppress(OSError):
            write(sys.stderr, clean(self.spell(text)) + "\n")

    def warn(self, text: str) -> None:
        """Print a warning on stderr."""
        self.say(f"warning: {text}")

    def effect(self, argv: Sequence[str], *, before: str = "", after: str = "", file: str = "") -> bool:
        """Print the effect that *argv* stands for. Return False under --dry."""
        command = self.spell(before) + shell_join(argv) + after
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
