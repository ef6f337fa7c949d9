"""An image of a team's own registry that a deployment or an environment names, and the Dockerfile that makes it.

The table says how that image is made, so the Dockerfile tells more than the image's name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from azureml_tasks.image_reference import parse
from azureml_tasks.migration.base_image import is_public
from azureml_tasks.migration.questions import Choice, Question
from azureml_tasks.migration.reading import Kind, Outcome
from azureml_tasks.migration.sources import left_over
from azureml_tasks.project.base_images import CURRENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.reading import Reading, Value

_BASE = ("base",)
_OF_BASE = (_BASE, ("server",))
_NAME_IT = (Kind.DEPLOYMENT, Kind.ENVIRONMENT)


def question(readings: Sequence[Reading], dockerfiles: Sequence[str]) -> Question | None:
    """Return whether one of *dockerfiles* makes the image that *readings* name; None if that is clear.

    Args:
        readings: of all sources.
        dockerfiles: names of those that no source names.
    """
    if not dockerfiles or any(reading.source.kind is Kind.DOCKERFILE for reading in readings):
        return None
    bases = [value for reading in readings for value in reading.values if value.place == _BASE]
    own = next((value for value in bases if _is_own(value)), None)
    if bases and not own:
        return None
    files = [Choice(name, ("--from", name)) for name in dockerfiles]
    if not own:
        others = [Choice(name, ("--base", name)) for name in CURRENT]
        what = "no source names an image to extend"
        return Question(
            "base", what, "Which file makes the image, or what does it extend?", (*files, *others)
        )
    none = Choice(f"none of them: extend {own.value} as it is", ("--base", own.value))
    what = f"{own.where} names {own.value}, and a Dockerfile is here that no source names"
    return Question("image", what, "Which Dockerfile makes it?", (*files, none))


def of_dockerfile(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return *readings* without an own image as base if a Dockerfile among them makes another base of it."""
    dockerfile = next((reading for reading in readings if reading.source.kind is Kind.DOCKERFILE), None)
    if not dockerfile:
        return tuple(readings)
    extended = [value.value for value in dockerfile.values if value.place == _BASE]
    return tuple(_without_image(each, dockerfile.source.name, extended) for each in readings)


def _without_image(reading: Reading, dockerfile: str, extended: Sequence[str]) -> Reading:
    if reading.source.kind not in _NAME_IT:
        return reading
    for value in reading.values:
        if value.place == _BASE and _is_own(value) and value.value not in extended:
            why = f"taken for the image that {dockerfile} makes"
            reading = left_over(reading, value.line, why, Outcome.CHANGED)
            kept = (each for each in reading.values if (each.line, each.place) not in _places(value.line))
            reading = replace(reading, values=tuple(kept))
    return reading


def _places(line: int) -> list[tuple[int, tuple[str, ...]]]:
    return [(line, place) for place in _OF_BASE]


def _is_own(base: Value) -> bool:
    """Return whether the image is of a registry that only a team has."""
    reference = parse(str(base.value))
    return reference is not None and not is_public(reference)
