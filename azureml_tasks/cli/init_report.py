"""The report of `image.init` for people, and its questions in a terminal."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from azureml_tasks.cli.streams import write
from azureml_tasks.migration.reading import Kind, Outcome, file_and_line
from azureml_tasks.migration.secret_texts import hide_logins, hide_secrets
from azureml_tasks.plain_text import clean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from azureml_tasks.commands.init import InitResult
    from azureml_tasks.migration.questions import Question
    from azureml_tasks.migration.reading import Reading, SourceLine

_TITLES = {
    Kind.DEPLOYMENT: "a deployment",
    Kind.ENVIRONMENT: "an environment",
    Kind.DOCKERFILE: "a Dockerfile",
    Kind.CONDA: "a conda file",
    Kind.REQUIREMENTS: "requirements",
    Kind.PYPROJECT: "a project",
    Kind.SCRIPT: "an entry script",
    Kind.MODEL: "a model",
    Kind.REQUEST: "a sample request",
}
_OUTCOMES = {
    Outcome.KEY: "",
    Outcome.DEPLOYMENT: "deployment: ",
    Outcome.NOT_NEEDED: "not needed: ",
    Outcome.CHANGED: "CHANGED: ",
    Outcome.LEFT_OVER: "LEFT OVER: ",
}
_OPEN = (Outcome.CHANGED, Outcome.LEFT_OVER)
_WIDEST = 36
"""Characters of a source's line that are shown."""
_MOST_PLACES = 20
"""Lines that the summary names; each is in the list before it."""


def as_text(result: InitResult, spell: Callable[[str], str], *, dry: bool) -> str:
    """Return the report for a person.

    Args:
        result: of the command.
        spell: returns a text with our tasks as commands to paste.
        dry: whether nothing was written.
    """
    return "\n".join(_blocks(result, spell, dry=dry))


def _blocks(result: InitResult, spell: Callable[[str], str], *, dry: bool) -> Iterator[str]:
    for reading in result.readings:
        yield f"{one_line(reading.source.name)}, {_TITLES[reading.source.kind]}"
        yield from (_row(line, spell) for line in reading.lines)
        yield ""
    if result.passed_over:
        yield "not read"
        yield from (f"  {one_line(each.name)}: {one_line(each.why)}" for each in result.passed_over)
        yield ""
    yield from _compared(result)
    yield _summary(result)
    if result.files:
        names = ", ".join(os.path.relpath(file.path) for file in result.files)
        yield f"would write: {names}" if dry else f"written: {names}"
    if result.tasks.advice:
        yield f"add to {os.path.relpath(result.tasks.path)}:"
        yield from (f"    {line}" for line in result.tasks.advice.splitlines())
    yield from (f"note: {one_line(spell(note))}" for note in result.notes)
    for index, step in enumerate(result.next_steps):
        yield f"{'next:' if index == 0 else 'then:'} {spell(step)}"


def _row(line: SourceLine, spell: Callable[[str], str]) -> str:
    numbers = str(line.line or "") if line.line == line.end else f"{line.line}-{line.end}"
    why = _OUTCOMES[line.outcome] + _plain(spell(line.why))
    return f"  {numbers:>7}  {_short(line.text):<{_WIDEST}}  {why}".rstrip()


def _short(text: str) -> str:
    text = one_line(hide_secrets(text.strip().partition("\n")[0]))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _plain(text: str) -> str:
    return one_line(hide_logins(text))


def _compared(result: InitResult) -> Iterator[str]:
    """Yield how the table that exists differs from what the sources say."""
    if result.differences is None:
        return
    yield "pyproject.toml has the table already, and it stays as it is."
    for each in result.differences:
        if each.sources is None:
            yield f"  {each.key}: no source says it"
        elif each.table is None:
            yield f"  {each.key}: missing in the table; the sources say {_value(each.sources)}"
        else:
            yield f"  {each.key}: {_value(each.table)} in the table, {_value(each.sources)} in the sources"
    if not result.differences:
        yield "  It says the same as the sources."
    yield ""


def _value(value: Any) -> str:
    return _plain(json.dumps(value, ensure_ascii=False, default=str))


def _summary(result: InitResult) -> str:
    if result.is_whole:
        return "whole: the table says all that these sources say"
    left = _open_lines(result.readings)
    if not left and result.adds:
        return f"not whole: {'; '.join(result.adds)}"
    if not left:
        return "not whole: the table differs" if result.differences else "not whole: nothing was read"
    places = [file_and_line(one_line(name), line.line) for name, line in left]
    shown = [*places[:_MOST_PLACES], *(["…"] if len(places) > _MOST_PLACES else [])]
    return (
        f"not whole: {len(left)} line{'s' if len(left) > 1 else ''} left over or changed: {', '.join(shown)}"
    )


def _open_lines(readings: Sequence[Reading]) -> list[tuple[str, SourceLine]]:
    return [
        (reading.source.name, line) for reading in readings for line in reading.lines if line.outcome in _OPEN
    ]


def ask_in_terminal(question: Question) -> int | None:
    """Ask *question* on stderr and return the index of the choice; None if there is no terminal, or at its end."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    rows = [f"{question.subject}: {question.what}.", question.asks]
    rows += [f"  {index}  {choice.text}" for index, choice in enumerate(question.choices, start=1)]
    write(sys.stderr, clean("\n".join(rows)) + "\n")
    while True:
        write(sys.stderr, f"1 to {len(question.choices)}: ")
        answer = sys.stdin.readline()
        if not answer:
            return None
        if answer.strip() in map(str, range(1, len(question.choices) + 1)):
            return int(answer) - 1
