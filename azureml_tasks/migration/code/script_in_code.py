"""A script of a code folder that another source names: the code stays that folder, and the script is named in it."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.migration.reading import Kind, Outcome, SourceLine, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.reading import Reading

_DEFAULT = "score.py"
_SCRIPT = ("entry-script",)
_PLACES = (("code",), _SCRIPT, ("python-path",))


def scripts_in_code(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return *readings* with each script in the one folder that the others copy named relative to that folder."""
    folders = _folders(readings)
    if len(folders) != 1:
        return tuple(readings)
    (folder,) = folders
    named = [_in_folder(reading, folder) for reading in readings]
    scripts = [reading for reading, before in zip(named, readings, strict=True) if reading is not before]
    return tuple(_answered(reading, scripts[0]) if len(scripts) == 1 else reading for reading in named)


def _folders(readings: Sequence[Reading]) -> set[str]:
    """Return the folders that other sources than scripts copy as code; empty if one of them copies several."""
    codes = [
        value.value
        for reading in readings
        if reading.source.kind is not Kind.SCRIPT
        for value in reading.values
        if value.place == ("code",)
    ]
    return set(codes) if all(isinstance(code, str) for code in codes) else set()


def _answered(reading: Reading, script: Reading) -> Reading:
    """Return *reading* with *script* in place of one that only stands for what the source leaves open."""
    guessed = {
        value.line
        for value in reading.values
        if value.place == _SCRIPT and any(_is_open(line, value.line) for line in reading.lines)
    }
    why = f"{script.source.name} answers"
    lines = (
        line._replace(outcome=Outcome.KEY, why=why) if any(_is_open(line, at) for at in guessed) else line
        for line in reading.lines
    )
    values = (value for value in reading.values if not (value.place == _SCRIPT and value.line in guessed))
    return replace(reading, values=tuple(values), lines=tuple(lines))


def _is_open(line: SourceLine, number: int) -> bool:
    return line.outcome is Outcome.LEFT_OVER and line.line <= number <= line.end


def _in_folder(reading: Reading, folder: str) -> Reading:
    name = reading.source.name
    inside = posixpath.relpath(name, folder)
    if reading.source.kind is not Kind.SCRIPT or inside.startswith("../"):
        return reading
    others = tuple(value for value in reading.values if value.place not in _PLACES)
    script = Value(_SCRIPT, inside, name, 1)
    values = (script, *others) if inside != _DEFAULT else others
    why = f'entry-script = "{inside}"' + (" is the default" if inside == _DEFAULT else "")
    lines = tuple(_named(line, f"{why}, in {folder}") for line in reading.lines)
    return replace(reading, values=values, lines=lines)


def _named(line: SourceLine, why: str) -> SourceLine:
    return line._replace(why=why) if line.outcome is Outcome.KEY else line
