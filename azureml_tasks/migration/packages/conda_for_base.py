"""Read conda files once more when the base is known: its name may tell its Python, and whether it brings CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.image_reference import expand_base
from azureml_tasks.migration.packages.conda_source import read_conda_source
from azureml_tasks.migration.reading import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from azureml_tasks.migration.reading import Reading
    from azureml_tasks.migration.surroundings import Surroundings


def named_base(readings: Iterable[Reading]) -> str:
    """Return the base that *readings* name, "" if they name none or several."""
    bases = {value.value for reading in readings for value in reading.values if value.place == ("base",)}
    return bases.pop() if len(bases) == 1 else ""


def conda_for_base(readings: Sequence[Reading], base: str, surroundings: Surroundings) -> tuple[Reading, ...]:
    """Return *readings* with what the conda files among them say for *base*.

    Args:
        readings: of all sources.
        base: as the table has it; "" if it is not known.
        surroundings: of the project.
    """
    reference = expand_base(base) if base else None
    if not reference:
        return tuple(readings)
    return tuple(
        read_conda_source(reading.source, surroundings, reference)
        if reading.source.kind is Kind.CONDA
        else reading
        for reading in readings
    )
