"""A conda environment that is written inside another YAML file: its packages become the key `pip`.

The table names a conda file by its path, and there is none. So each package that PyPI has too is written out, and each
line that pip cannot follow is left over with the reason.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from azureml_tasks.config import validators
from azureml_tasks.config.variable_references import literal
from azureml_tasks.migration.reading import Outcome
from azureml_tasks.requirements.conda import CondaFile, NumberedLine, read_conda
from azureml_tasks.requirements.lines import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.config.problems import Place
    from azureml_tasks.errors import Problem
    from azureml_tasks.migration.deployment.yaml_notes import YamlNotes

_PIP: Place = ("pip",)
_IGNORED = {"name": "it names the environment", "prefix": "it is a folder of another machine"}


def inline_conda(notes: YamlNotes, place: Place) -> tuple[CondaFile, Sequence[Problem]]:
    """Return the conda environment at *place*, with the lines that its parts have in the source, and its mistakes."""
    value = notes.mapping(place)
    items: list[object] = []
    numbers: list[int] = []
    for index, item in enumerate(_list(value.get("dependencies"))):
        inner = item.get("pip") if isinstance(item, dict) else None
        if isinstance(item, dict) and isinstance(inner, list):
            for number, text in enumerate(inner):
                items.append({"pip": [text]})
                numbers.append(notes.line((*place, "dependencies", index, "pip", number)))
        else:
            items.append(item)
            numbers.append(notes.line((*place, "dependencies", index)))
    return read_conda(notes.source.name, _numbered(value, items, numbers, notes.line(place)))


def note_inline_conda(
    notes: YamlNotes, place: Place, conda: CondaFile, problems: Sequence[Problem], python_differs: str
) -> None:
    """Note what became of each line of the conda environment at *place*.

    Args:
        notes: of the source.
        place: of the conda environment.
        conda: that was read there.
        problems: with it.
        python_differs: why the base's Python is not, or may not be, the one that is wanted; "" if it is.
    """
    notes.open(place)
    dependencies: Place = (*place, "dependencies")
    notes.open(dependencies)
    for index, item in enumerate(_list(notes.value(dependencies))):
        if isinstance(item, dict):
            notes.open((*dependencies, index))
            notes.open((*dependencies, index, "pip"))
    for problem in problems:
        notes.note_at(
            max(problem.line, notes.line(place)), Outcome.LEFT_OVER, f"{problem.what}. {problem.fix}"
        )
    for line in (*conda.packages, *conda.pip):
        _note_requirement(notes, line)
    for python in conda.pythons:
        outcome = Outcome.CHANGED if python_differs else Outcome.NOT_NEEDED
        notes.note_at(python.line, outcome, python_differs or "the base has this Python")
    for name in conda.variables:
        text = str(notes.value((*place, "variables", name.text)))
        notes.open((*place, "variables"))
        notes.key((*place, "variables", name.text), ("env",), {name.text: literal(text)})
    _note_rest(notes, place, conda)


def _note_requirement(notes: YamlNotes, line: NumberedLine) -> None:
    if error := validators.PIP.error(line.text):
        notes.note_at(line.number, Outcome.LEFT_OVER, f"the key pip takes requirements, and this {error}")
    else:
        notes.set_at(line.number, _PIP, [line.text])
        notes.note_at(line.number, Outcome.KEY, f"pip = [{json.dumps(line.text, ensure_ascii=False)}]")


def _note_rest(notes: YamlNotes, place: Place, conda: CondaFile) -> None:
    for key in notes.mapping(place):
        if key == "channels":
            notes.note((*place, key), Outcome.NOT_NEEDED, "pip takes the packages from PyPI")
        elif key in _IGNORED:
            notes.note((*place, key), Outcome.NOT_NEEDED, _IGNORED[key])
    for index, item in enumerate(_list(notes.value((*place, "dependencies")))):
        if isinstance(item, str) and item.partition("=")[0].strip() in {"pip", "python"}:
            line = notes.line((*place, "dependencies", index))
            if line not in {python.line for python in conda.pythons}:
                notes.note_at(
                    line, Outcome.NOT_NEEDED, f"the base has {shown(item.partition('=')[0].strip())}"
                )


def _numbered(value: Mapping[str, object], items: Sequence[object], numbers: Sequence[int], line: int) -> str:
    """Return the conda environment as a file of its own in which each item of `dependencies` has its line."""
    rest = {key: inner for key, inner in value.items() if key not in {"dependencies", "channels"}}
    head = ", ".join(f"{json.dumps(key)}: {json.dumps(inner)}" for key, inner in rest.items())
    text = "\n" * (line - 1) + "{" + head + (", " if head else "") + '"dependencies": ['
    at = line
    for item, number in zip(items, numbers, strict=True):
        text += "\n" * (number - at) + json.dumps(item) + ","
        at = max(at, number)
    return text.removesuffix(",") + "]}"


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
