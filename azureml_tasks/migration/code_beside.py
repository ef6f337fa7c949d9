"""The folder `code` beside pyproject.toml: the table copies it if no source names code, and no key leaves it out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.migration.reading import Outcome, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.reading import Reading, SourceLine
    from azureml_tasks.migration.surroundings import Surroundings

_FOLDER = "code"
_DECIDING = ("code", "dockerfile", "delivery")
"""Keys beside which the folder is not copied unasked."""


def with_code_beside(readings: Sequence[Reading], surroundings: Surroundings) -> tuple[Reading, ...]:
    """Return *readings* with the folder `code` if no source names code; its script is chosen as that of any other code.

    The source of the base makes another image, which its line says.
    """
    named = {value.place[0] for reading in readings for value in reading.values}
    at = next((at for at, reading in enumerate(readings) if _base_line(reading)), None)
    if at is None or named.intersection(_DECIDING) or surroundings.locate(_FOLDER).kind != "folder":
        return tuple(readings)
    reading = readings[at]
    line = _base_line(reading)
    why = f'code = "{_FOLDER}": the folder is here, and the table cannot leave it out'
    changed = replace(
        reading,
        values=(*reading.values, Value(("code",), _FOLDER, reading.source.name, line)),
        lines=tuple(
            _with_reason(each, why) if each.line <= line <= each.end else each for each in reading.lines
        ),
    )
    return (*readings[:at], changed, *readings[at + 1 :])


def _with_reason(line: SourceLine, why: str) -> SourceLine:
    """Return *line* with one thing more that differs."""
    outcome = Outcome.LEFT_OVER if line.outcome is Outcome.LEFT_OVER else Outcome.CHANGED
    return line._replace(outcome=outcome, why=f"{line.why}; {why}")


def _base_line(reading: Reading) -> int:
    """Return the line that gives the base; 0 if none does."""
    return next((value.line for value in reading.values if value.place == ("base",)), 0)
