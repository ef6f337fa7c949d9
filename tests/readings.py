"""A reading of the room `migration` as a short text, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.migration.reading import Kind, Reading, Source
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["lines_of", "outline", "read", "values_of"]


def read(
    reader: Callable[[Source, Surroundings], Reading], folder: Path, name: str, text: str, **files: str
) -> Reading:
    """Read *text* as the file *name* of the project in *folder*, beside *files*: "__" in a name is "/", and "_" "."."""
    others = {path.replace("__", "/").replace("_", "."): inner for path, inner in files.items()}
    lay_out({name: text, **others}, folder)
    source = Source((folder / name).resolve(), name, Kind.DEPLOYMENT, text)
    return reader(source, Surroundings(folder.resolve(), folder.resolve()))


def lines_of(reading: Reading) -> list[str]:
    """Return each line as "1 key: why"; one of several lines as "1-3 key: why"."""
    return [
        f"{line.line}{f'-{line.end}' if line.end > line.line else ''} {line.outcome.value}: {line.why}"
        for line in reading.lines
    ]


def values_of(reading: Reading) -> dict[str, object]:
    """Return the values by their keys; the entries of arrays and tables are put together."""
    values: dict[str, object] = {}
    for value in reading.values:
        key = ".".join(map(str, value.place))
        before = values.get(key)
        if isinstance(before, dict):
            values[key] = {**before, **value.value}
        elif isinstance(before, list):
            values[key] = [*before, *value.value]
        else:
            values[key] = value.value
    return values


def outline(reading: Reading) -> list[str]:
    """Return what is open, and what is read beside it."""
    references = [f"{each.kind.value} {each.name}:{each.line}" for each in reading.references]
    is_open = [line for line in lines_of(reading) if line.split()[1].rstrip(":") in {"changed", "left-over"}]
    return [*is_open, *references]
