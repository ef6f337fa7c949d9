"""What a person sees: results on stdout, progress on stderr, and each effect as the command it stands for."""

from __future__ import annotations

import re
import shlex
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Console", "spoken"]

_OUR_TASK = (
    r"\binvoke image\."
    r"(?=(attach|build|check|clean|context|dockerfile|environment|prefixes|push|release|smoke-test)\b)"
)
_STEP = 10
"""Without a terminal, progress is a line for every tenth of the whole."""


def spoken(text: str, tasks: str) -> str:
    """*text* with our tasks named as the consumer's collection names them; *tasks* is "serving." or ""."""
    return re.sub(_OUR_TASK, f"invoke {tasks}", text)


class Console(NamedTuple):
    """Where words go.

    Args:
        dry: effects are printed, as commands to paste, and not done.
        echo: effects are printed on stderr as they are done.
        tasks: what a person types before the name of each of our tasks.
        flags: those that say again, in a command to paste, which project and base this run is about.
    """

    dry: bool = False
    echo: bool = False
    tasks: str = "image."
    flags: str = ""

    def spoken(self, text: str) -> str:
        """*text*, which names our tasks as `invoke image.build`, with the names that they have here."""
        return spoken(text, self.tasks)

    def result(self, text: str) -> None:
        """Print what was asked for."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Print what is going on."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def warn(self, text: str) -> None:
        """Print what deserves a look and stops nothing."""
        self.say(f"warning: {text}")

    def effect(self, argv: Sequence[str], *, before: str = "", file: str = "") -> bool:
        """Announce the effect that *argv* stands for; False where it must not be done.

        Args:
            argv: the docker command that would do the same.
            before: what is piped into it, as a person would type it.
            file: the text that it reads from its standard input.
        """
        command = self.spoken(before) + shlex.join(argv)
        command += f" <<'EOF'\n{file}EOF" if file else ""
        if self.dry:
            self.result(command)
        elif self.echo:
            self.say(command)
        return not self.dry

    def effects(self, commands: Iterable[Sequence[str]]) -> bool:
        """Announce each of *commands*, which together stand for one effect; False where it must not be done."""
        return {self.effect(argv) for argv in commands} == {True}

    def progress(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        """Pass *blocks* on and show how much of *total* bytes has gone: a bar in a terminal, else plain lines."""
        if sys.stderr.isatty():
            yield from _bar(blocks, total, label)
        else:
            yield from self._lines(blocks, total, label)

    def _lines(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        gone, next_line, began = 0, _STEP, time.monotonic()
        for block in blocks:
            yield block
            gone += len(block)
            while total > 64 * 1024 * 1024 and gone * 100 >= total * next_line:
                self.say(
                    f"{label}: {next_line} % of {total / 1e6:,.0f} MB after {time.monotonic() - began:.1f} s"
                )
                next_line += _STEP


def _bar(blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
    from tqdm import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, desc=label, leave=False) as bar:
        for block in blocks:
            yield block
            bar.update(len(block))
