"""Keep a Dockerfile as it is: the table names it, and says only what may stand beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.config.fields import keys
from azureml_tasks.config.settings import Settings
from azureml_tasks.migration.questions import Choice, Question
from azureml_tasks.migration.reading import Kind, Outcome, SourceLine, Value
from azureml_tasks.migration.sources import left_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.reading import Reading

_BESIDE = frozenset(name for name, (_, key) in keys(Settings).items() if key.beside_dockerfile)
"""Keys that a table with `dockerfile` may have."""


def dockerfiles(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return the readings of Dockerfiles."""
    return tuple(each for each in readings if each.source.kind is Kind.DOCKERFILE)


def keep_dockerfile(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return *readings* with the one Dockerfile among them kept as it is."""
    (kept,) = dockerfiles(readings)
    return tuple(_whole(each) if each is kept else _beside(each, kept.source.name) for each in readings)


def question(reading: Reading) -> Question:
    """Return whether to keep the Dockerfile of *reading*, whose effects the table does not have."""
    name = reading.source.name
    return Question(
        subject=name,
        what=f"does what the table does not say: {'; '.join(reading.keeps_dockerfile)}",
        asks="Keep it as it is?",
        choices=(
            Choice(f'yes, the table has dockerfile = "{name}"', ("--keep-dockerfile",)),
            Choice("no, the table has what it can say, and the rest is listed", ()),
        ),
    )


def _whole(reading: Reading) -> Reading:
    name, lines = reading.source.name, reading.source.text.splitlines()
    why = f'dockerfile = "{name}"'
    first = next((line for line in lines if line.strip()), "")
    outcome = Outcome.KEY
    if context := reading.foreign_context:
        outcome = Outcome.CHANGED
        why += f"; it copies from {context}, and now from the project's folder: write its paths from there"
    whole = SourceLine(line=1, end=max(len(lines), 1), text=first, outcome=outcome, why=why)
    value = Value(place=("dockerfile",), value=name, file=name, line=1)
    return replace(reading, values=(value,), lines=(whole,), keeps_dockerfile=())


def _beside(reading: Reading, name: str) -> Reading:
    """Return *reading* without the values that shape a generated Dockerfile."""
    for value in reading.values:
        if value.place[0] not in _BESIDE:
            reading = left_over(
                reading, value.line, f"{name} decides it, and is kept as it is", Outcome.CHANGED
            )
    values = tuple(value for value in reading.values if value.place[0] in _BESIDE)
    return replace(reading, values=values)
