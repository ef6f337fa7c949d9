"""Leave out what the table cannot hold: each value is read as the table's own reader reads it, before it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azureml_tasks.config.reader import read
from azureml_tasks.errors import SettingsError
from azureml_tasks.migration.secret_texts import has_login
from azureml_tasks.migration.sources import left_over
from azureml_tasks.migration.table.table_text import table_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.config.problems import Place, Problems
    from azureml_tasks.migration.reading import Reading, Value

_LOGIN = "an address in it has a login, which would stay readable"
_ANY_BASE = "minimal-py312-inference"
_ANY_ROOT = "/".join([".."] * 50)
"""Whether a path leads out of the real root is known already, see `surroundings`."""


def without_refused(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return *readings* without the values that no table can hold; their lines say why they are left over."""
    return tuple(map(_judged, readings))


def _judged(reading: Reading) -> Reading:
    kept = []
    for value in reading.values:
        accepted, whys = _accepted(value)
        if accepted and any(map(has_login, _texts(accepted.value))):
            accepted, whys = _without_logins(accepted), [*whys, _LOGIN]
        for why in whys:
            reading = left_over(reading, value.line, why)
        kept += [accepted] if accepted else []
    return replace(reading, values=tuple(kept))


def _without_logins(value: Value) -> Value | None:
    """Return what of *value* has no login; None for nothing."""
    rest: Any = None
    if isinstance(value.value, dict):
        rest = {name: entry for name, entry in value.value.items() if not any(map(has_login, _texts(entry)))}
    elif isinstance(value.value, list):
        rest = [item for item in value.value if not any(map(has_login, _texts(item)))]
    return value._replace(value=rest) if rest else None


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in *value*."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(each)


def _accepted(value: Value) -> tuple[Value | None, list[str]]:
    """Return what remains of *value*, None for nothing, and why the rest is refused."""
    problems, whys = _read(value.place, value.value)
    if not whys:
        return value, []
    if problems and isinstance(value.value, dict):
        entries = {
            name: entry for name, entry in value.value.items() if not problems.is_bad((*value.place, name))
        }
        return value._replace(value=entries) if entries else None, whys
    if problems and isinstance(value.value, list):
        items = [
            item
            for at, item in enumerate(value.value)
            if not any(map(problems.is_bad, _places((*value.place, at), item)))
        ]
        return value._replace(value=items) if items else None, whys
    return None, whys


def _places(place: Place, value: Any) -> Iterator[Place]:
    """Yield *place*, and each place in *value* at it."""
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from _places((*place, name), each)


def _read(place: Place, value: Any) -> tuple[Problems | None, list[str]]:
    """Return what the reader of the table says against *value* at *place*; None if it reads nothing of it."""
    table: dict[str, Any] = {"root": _ANY_ROOT, **({} if place[0] == "dockerfile" else {"base": _ANY_BASE})}
    inner = table
    for part in place[:-1]:
        inner = inner.setdefault(str(part), {})
    inner[str(place[-1])] = value
    try:
        _, problems = read(table_text(table), {})
    except SettingsError as error:
        return None, [each.what for each in error.problems]
    return problems, [each.what for each in problems]
