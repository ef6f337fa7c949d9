"""What a person sees: results on stdout; progress, warnings and effects on stderr."""

from __future__ import annotations

import re
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.cli.colour import NONE, painted, with_painted_starts
from azureml_tasks.cli.progress import PROGRESS, is_live, shows_steps
from azureml_tasks.cli.streams import write
from azureml_tasks.errors import spell_commands
from azureml_tasks.plain_text import clean, one_line, shell_join
from azureml_tasks.reporter import StepEnd
from azureml_tasks.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from azureml_tasks.cli.colour import Style
    from azureml_tasks.cli.json_output import Collected
    from azureml_tasks.notice import Notice
    from azureml_tasks.reporter import BuilderStep, LogFile

_NAMES = (
    "build|cache|check|clean|context|dockerfile|doctor|environment|init|logs|push|release|report|resume|serve|"
    "shell|smoke-test"
)
_TASK = re.compile(rf"\binvoke image\.({_NAMES})\b")
_NAME = re.compile(rf"(?<!invoke )(?<![\w./-])image\.({_NAMES})\b(?![\w/:-]|\.\w)")
"""A task that a sentence names without the program."""
_NO_FLAGS: Mapping[str, str] = MappingProxyType({})
_WHOLE = frozenset({"release"})
"""Tasks that a message names for all images, also where it is about one: the next run finds done what is done."""
_PERCENT_PER_LINE = 10
"""Without a terminal, progress is a line for every tenth of the whole."""
_SMALL = 64 * 1024 * 1024
"""Bytes up to which no such line is worth it."""


def spell_tasks(text: str, task_prefix: str, flags: Mapping[str, str] = _NO_FLAGS, *, image: str = "") -> str:
    """Return *text*, which names our tasks as `invoke image.build` or `image.build`, as they are typed here.

    Args:
        text: for a person.
        task_prefix: what a person types before the name of a task, such as "invoke serving.".
        flags: of this run, name → words; each task gets those that it takes and that the text does not give it.
        image: the one of several that the text is about; "" for all.
    """
    of_image = {**flags, "image": f"--image {image}"} if image else flags

    def spelled(task: re.Match[str]) -> str:
        missing = _missing_flags(task, flags if task[1] in _WHOLE else of_image)
        return f"{task_prefix}{task[1]}{missing}"

    before_name = task_prefix.removeprefix("invoke ")
    return _NAME.sub(lambda task: f"{before_name}{task[1]}", _TASK.sub(spelled, text))


def _missing_flags(task: re.Match[str], flags: Mapping[str, str]) -> str:
    if not flags:
        return ""
    from azureml_tasks.cli.tasks import TASKS

    taken = next(spec.repeated for spec in TASKS if spec.name == task[1])
    given = task.string[task.end() :].partition("\n")[0].partition("invoke ")[0]
    return "".join(f" {words}" for name, words in flags.items() if name in taken and f"--{name}" not in given)


@dataclass
class Shown:
    """What the consoles of several images have printed together.

    Args:
        image: whose progress was printed last.
        warnings: that were printed; each is printed once, although it may be about what all images share.
    """

    image: str = ""
    warnings: set[str] = field(default_factory=set)


class Console(NamedTuple):
    """Prints what a command reports; see `reporter.Reporter`.

    Args:
        dry: print effects as commands to paste, and do not carry them out.
        echo: print effects on stderr as they are carried out.
        task_prefix: what a person types before the name of a task.
        flags: of this run that a command to paste repeats, name → words such as `--registry r.io`.
        image: the one of several images whose console this is; "" for one image or for all.
        shown: what the consoles of these images have printed; None for one image.
        project: folder of the project, which the files of warnings are relative to; None if it has none.
        verbose: print more than a person usually reads.
        collected: takes warnings and commands for `--json`, whose one object stdout is for; None without it.
    """

    dry: bool = False
    echo: bool = False
    task_prefix: str = "invoke image."
    flags: Mapping[str, str] = _NO_FLAGS
    image: str = ""
    shown: Shown | None = None
    project: Path | None = None
    verbose: bool = False
    collected: Collected | None = None

    def for_images(self, names: Sequence[str]) -> tuple[Console, ...]:
        """Return a console for each of several images, which names it before its progress and in commands."""
        shown = Shown()
        return tuple(self._replace(image=name, shown=shown) for name in names)

    def without(self, flag: str) -> Console:
        """Return a console whose commands to paste do not repeat *flag*."""
        return self._replace(flags={name: words for name, words in self.flags.items() if name != flag})

    def spell(self, text: str) -> str:
        """Return *text* with our tasks as commands that mean this project, image, engine, base and registry."""
        return spell_tasks(text, self.task_prefix, self.flags, image=self.image)

    def result(self, text: str, styles: Mapping[str, Style] = NONE) -> None:
        """Print a result on stdout; nothing with `--json`, whose object has it.

        Args:
            text: the result.
            styles: first word of a line → its style, if stdout is a terminal.

        Raises:
            OSError: stdout cannot be written.
        """
        if not self.collected:
            self._write_out(with_painted_starts(clean(text), styles, sys.stdout))

    def log_line(self, line: str) -> None:
        """Print a line of a container's log on stdout, dimmed in a terminal.

        Raises:
            OSError: stdout cannot be written.
        """
        self._write_out(painted(clean(line), "dim", sys.stdout))

    def step_command(self, text: str) -> None:
        """Print a command that the CI system is meant to obey, whose values are cleaned."""
        self._write_out(text)

    def _write_out(self, text: str) -> None:
        PROGRESS.hide()
        write(sys.stderr if self.collected else sys.stdout, text + "\n")

    def say(self, text: str) -> None:
        """Print progress on stderr; if that fails, the command goes on."""
        self._print(text)

    def _print(self, text: str, style: Style = "") -> None:
        PROGRESS.line(self._heading() + clean(self.spell(text)), style)

    def update(self, text: str) -> None:
        """Show *text* in the one line of a terminal that changes, in place of what it was; "" ends it."""
        PROGRESS.update(one_line(text))

    def step(
        self, title: str, *, log: LogFile | None = None, announced: bool = False
    ) -> AbstractContextManager[StepEnd]:
        """Show a step: live in a terminal, as a group in a CI system; elsewhere its title, if it is *announced*."""
        if self.dry:
            return nullcontext(StepEnd())
        if announced and not shows_steps():
            self.say(title)
        return PROGRESS.step(title, log)

    def output(self, line: str, step: BuilderStep | None = None) -> None:
        """Print a line of another program; a terminal shows it while the step runs, and then if it fails."""
        line = spell_commands(line, self.spell)
        step = step and step._replace(text=spell_commands(step.text, self.spell))
        if not PROGRESS.output(line, step, folded=not self.verbose):
            PROGRESS.line(self._heading() + clean(line))

    def layer(self, name: str, *, current: int = 0, total: int = 0, arrived: str = "") -> None:
        """Show a bar for a layer that moves; without a terminal, print a line when it has arrived."""
        if not PROGRESS.layer(name, current, total, has_arrived=bool(arrived)) and arrived:
            size = f"{size_text(total)}, " if total else ""
            self.say(f"  layer {name}: {size}{arrived}")

    def next_step(self, text: str) -> None:
        """Say what a person would do next; in a pipe nobody reads it."""
        if sys.stderr.isatty() and not self.dry:
            self._print(f"next: {text}", "next")

    def warn(self, notice: Notice) -> None:
        """Print a warning on stderr, of several images once; a CI system shows it as an annotation as well."""
        text = str(notice)
        if self.shown and text in self.shown.warnings:
            return
        if self.shown:
            self.shown.warnings.add(text)
        if self.collected:
            self.collected.notices.append((self.image, notice))
        self._print(f"warning: {text}", "warning")
        from azureml_tasks.cli.ci_annotations import annotate, annotation_of  # most runs warn of nothing

        annotate([annotation_of(notice, self.spell, self.project)])

    def effect(self, argv: Sequence[str], *, before: str = "", after: str = "", file: str = "") -> bool:
        """Print the effect that *argv* stands for. Return False under --dry."""
        command = self.spell(before) + shell_join(argv) + after
        command += _here_document(file) if file else ""
        if self.dry and self.collected:
            self.collected.commands.append(command)
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
        if is_live():
            yield from _bar(blocks, total, label)
        else:
            yield from self._lines(blocks, total, label)

    def _heading(self) -> str:
        """Return the line that names the image of what follows; "" if the line before is about the same one."""
        if not self.shown or self.shown.image == self.image:
            return ""
        self.shown.image = self.image
        return f"image {self.image}:\n"

    def _lines(self, blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
        passed, next_line, start = 0, _PERCENT_PER_LINE, time.monotonic()
        for block in blocks:
            yield block
            passed += len(block)
            while total > _SMALL and passed * 100 >= total * next_line:
                seconds = time.monotonic() - start
                self.say(f"{label}: {next_line} % of {size_text(total)} after {seconds:.1f} s")
                next_line += _PERCENT_PER_LINE


def _here_document(text: str) -> str:
    """Return *text* as the input of a command, with an end that is none of its lines."""
    end = "EOF"
    while end in text.splitlines():
        end += "_"
    return f" <<'{end}'\n{text}{end}"


def _bar(blocks: Iterable[bytes], total: int, label: str) -> Iterator[bytes]:
    passed = 0
    with PROGRESS.bar(label) as live:
        for block in blocks:
            yield block
            passed += len(block)
            live.show_bar(label, passed, total)
