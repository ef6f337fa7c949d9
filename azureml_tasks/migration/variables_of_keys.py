"""Variables that one source sets and that a key of another source sets too, such as the entry script.

The table refuses them side by side: see `project.cross_checks.refuse_double_variables`. The key counts, as
Azure ML sets both variables itself if a deployment has a scoring script or a model: see `planning.server_steps`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.migration.reading import Outcome
from azureml_tasks.migration.sources import left_over
from azureml_tasks.planning.plan import MODEL_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.migration.reading import Reading, Value

_ENV = ("env",)
_KEYS = {"AZUREML_ENTRY_SCRIPT": "code", "AZUREML_MODEL_DIR": "model"}
"""Variable → the key beside which it is set already."""


def without_variables_of_keys(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return *readings* without the variables that keys of other readings set; the lines of those say so."""
    by_key = {
        key: value
        for reading in readings
        for value in reading.values
        for key in ("code", "model", "entry-script")
        if value.place == (key,)
    }
    return tuple(_without(reading, by_key) for reading in readings)


def _without(reading: Reading, by_key: Mapping[str, Value]) -> Reading:
    values: list[Value] = []
    for value in reading.values:
        entries = value.value if value.place == _ENV else {}
        doubled = [name for name in entries if _is_doubled(name, value, by_key)]
        for name in doubled:
            if not _is_same(name, entries[name], by_key):
                key = "entry-script" if _KEYS[name] == "code" else "model"
                reading = left_over(reading, value.line, f"the key {key} sets {name}", Outcome.CHANGED)
        kept = {name: text for name, text in entries.items() if name not in doubled}
        if not doubled:
            values.append(value)
        elif kept:
            values.append(value._replace(value=kept))
    return replace(reading, values=tuple(values))


def _is_doubled(name: str, value: Value, by_key: Mapping[str, Value]) -> bool:
    """Return whether a key of another source sets the variable *name* of *value*."""
    key = by_key.get(_KEYS.get(name, ""))
    return key is not None and key.file != value.file


def _is_same(name: str, text: str, by_key: Mapping[str, Value]) -> bool:
    """Return whether the key sets the variable *name* to *text*, too."""
    if _KEYS[name] == "model":
        return text == MODEL_DIR
    script = by_key.get("entry-script")
    return text == (script.value if script else "score.py")
