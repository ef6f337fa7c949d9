"""The folder `code` beside pyproject.toml: the table copies it if no source names code, and no key leaves it out."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.migration.reading import Outcome, Value
from azureml_tasks.migration.search_rules import default_rules
from azureml_tasks.project.script_search import entry_scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.reading import Reading, SourceLine
    from azureml_tasks.migration.surroundings import Surroundings

_FOLDER = "code"
_DEFAULTS = ("score.py", "main.py")
"""Scripts that no key has to name."""
_DECIDING = ("code", "dockerfile", "delivery")
"""Keys beside which the folder is not copied unasked."""


def with_code_beside(readings: Sequence[Reading], surroundings: Surroundings) -> tuple[Reading, ...]:
    """Return *readings* with the folder `code` if no source names code, and with the script in it.

    The source of the base makes another image, which its line says.
    """
    named = {value.place[0] for reading in readings for value in reading.values}
    at = next((at for at, reading in enumerate(readings) if _base_line(reading)), None)
    if at is None or named.intersection(_DECIDING) or surroundings.locate(_FOLDER).kind != "folder":
        return tuple(readings)
    reading = readings[at]
    line, script = _base_line(reading), _script(surroundings)
    given = {"code": _FOLDER, **({"entry-script": script} if script else {})}
    shown = "; ".join(f'{key} = "{value}"' for key, value in given.items())
    why = f"{shown}: the folder is here, and the table cannot leave it out"
    changed = replace(
        reading,
        values=(
            *reading.values,
            *(Value((key,), each, reading.source.name, line) for key, each in given.items()),
        ),
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


def _script(surroundings: Surroundings) -> str:
    """Return the nearest script of the folder, relative to it; "" if no key has to name it, or there is none."""
    if any(surroundings.locate(f"{_FOLDER}/{name}").kind == "file" for name in _DEFAULTS):
        return ""
    scripts = entry_scripts(surroundings.folder, default_rules(), _FOLDER)
    return posixpath.relpath(scripts[0], _FOLDER) if scripts else ""
