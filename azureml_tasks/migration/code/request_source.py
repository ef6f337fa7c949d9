"""A JSON file that is sent as the first request of the smoke test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.migration.line_ranges import Fate, whole_text
from azureml_tasks.migration.reading import Outcome, Reading, Value

if TYPE_CHECKING:
    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings


def read_request(source: Source, surroundings: Surroundings) -> Reading:  # noqa: ARG001 -- as every reader
    """Return the key that sends a JSON file."""
    value = Value(place=("smoke-test", "request"), value=source.name, file=source.name, line=1)
    fate = Fate(Outcome.KEY, f'smoke-test.request = "{source.name}"')
    return Reading(source=source, values=(value,), lines=whole_text(source.text, fate, "the request"))
