"""Cut a Dockerfile before the step at which a builder has failed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.project.dockerfile_text import split_dockerfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azureml_tasks.project.dockerfile_text import Instruction

_STEPS = ("ADD", "COPY", "RUN", "WORKDIR")
"""What BuildKit counts besides FROM: moby/buildkit, frontend/dockerfile/dockerfile2llb/convert.go (`cmdTotal`)."""
_NO_IMAGE = "scratch"


class StepPlace(NamedTuple):
    """Which step of a Dockerfile a builder means.

    Args:
        number: of the step, 1-based.
        name: of its instruction, in upper case, such as "RUN".
        stage: its stage: a name, `stage-N` from 0, or "" if there is only one.
        counts_all: whether every instruction of the whole file counts, as for the legacy builder; for BuildKit only
            those of the stage that change files, and FROM if it names an image.
    """

    number: int
    name: str
    stage: str = ""
    counts_all: bool = False


def text_before(dockerfile: str, place: StepPlace) -> str | None:
    """Return the text of a Dockerfile that ends before a step.

    None if the step is not found, or is a FROM, before which there is nothing to look at.
    """
    instructions = split_dockerfile(dockerfile).instructions
    steps = iter(instructions) if place.counts_all else _steps_of_stage(instructions, place.stage)
    step = next(islice(steps, place.number - 1, None), None)
    if not step or step.name != place.name or step.name == "FROM":
        return None
    return "".join(f"{line}\n" for line in dockerfile.split("\n")[: step.line - 1])


def _steps_of_stage(instructions: Sequence[Instruction], stage: str) -> Iterator[Instruction]:
    """Yield what BuildKit counts in a stage; nothing if there is no such stage."""
    names: list[str] = []
    is_inside = False
    for instruction in instructions:
        if instruction.name == "FROM":
            image, *rest = instruction.arguments.split() or [""]
            name = rest[1].lower() if len(rest) > 1 and rest[0].lower() == "as" else f"stage-{len(names)}"
            is_inside = stage in {name, ""}
            if is_inside and image.lower() not in {*names, _NO_IMAGE}:
                yield instruction
            names.append(name)
        elif is_inside and instruction.name in _STEPS:
            yield instruction
