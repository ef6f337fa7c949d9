"""Which instructions of a Dockerfile make its image, the lines of each, and the folder of its build context."""

from __future__ import annotations

import itertools
import posixpath
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.migration.dockerfile.words import json_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings
    from azureml_tasks.project.dockerfile_text import Instruction


class Numbered(NamedTuple):
    """An instruction and its last line."""

    instruction: Instruction
    end: int


def numbered_instructions(instructions: Sequence[Instruction], text: str) -> list[Numbered]:
    """Return the instructions, each with its last line that is neither blank nor a comment."""
    lines = text.split("\n")
    begins = [each.line for each in instructions]
    ends = [*(begin - 1 for begin in begins[1:]), *([len(lines)] if begins else [])]
    numbered = []
    for each, end in zip(instructions, ends, strict=True):
        last = end
        while last > each.line and _is_empty(lines[last - 1]):
            last -= 1
        numbered.append(Numbered(each, last))
    return numbered


def _is_empty(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def instructions_of_image(instructions: Sequence[Instruction]) -> tuple[list[Instruction], dict[int, str]]:
    """Divide the instructions into those that make the image, and the lines of the other stages.

    Returns:
        The instructions of the last stage and of those that it starts from, and those before the first FROM; and the
        lines of all others, with why they count, or "".
    """
    starts = [index for index, each in enumerate(instructions) if each.name == "FROM"]
    if not starts:
        return list(instructions), {}
    bounds = [*starts, len(instructions)]
    stages = [list(instructions[begin:end]) for begin, end in itertools.pairwise(bounds)]
    by_name: dict[str, int] = {}
    before: list[int | None] = []
    for index, stage in enumerate(stages):
        words = stage[0].arguments.split()
        before.append(by_name.get(words[0].lower()) if words else None)
        if len(words) > 2 and words[1].lower() == "as":  # noqa: PLR2004 -- IMAGE as NAME
            by_name[words[2].lower()] = index
    chain: list[int] = []
    current: int | None = len(stages) - 1
    while current is not None:
        chain.append(current)
        current = before[current]
    used = [each for index in reversed(chain) for each in stages[index]]
    copied = _copied_stages(used, by_name)
    others = {
        each.line: f"a stage whose files line {copied[index]} copies" if index in copied else ""
        for index, stage in enumerate(stages)
        if index not in chain
        for each in stage
    }
    return [*instructions[: starts[0]], *used], others


def _copied_stages(instructions: Sequence[Instruction], by_name: dict[str, int]) -> dict[int, int]:
    """Return the stages whose files the image has, each with the line that copies them."""
    copied: dict[int, int] = {}
    for each in instructions:
        for place in each.flag_values("--from") if each.name in ("COPY", "ADD") else []:
            index = int(place) if place.isdecimal() and len(place) < 4 else by_name.get(place.lower())  # noqa: PLR2004 -- a number of a stage
            if index is not None:
                copied.setdefault(index, each.line)
    return copied


def build_context(source: Source, surroundings: Surroundings, instructions: Sequence[Instruction]) -> str:
    """Return the folder of the build context: the one that has most of what is copied, first that of the Dockerfile."""
    own = posixpath.dirname(source.name) or "."
    folders = [own, "."]
    folder = own
    while surroundings.locate(posixpath.join(folder, "..")).kind == "folder" and len(folders) < 20:  # noqa: PLR2004 -- folders above
        folder = posixpath.normpath(posixpath.join(folder, ".."))
        folders.append(folder)
    paths = _copied_paths(instructions)
    return max(dict.fromkeys(folders), key=lambda folder: _existing(paths, folder, surroundings))


def foreign_context(source: Source, surroundings: Surroundings, instructions: Sequence[Instruction]) -> str:
    """Return the folder of the build context if it has more of what is copied than the project's folder; else ""."""
    context, paths = build_context(source, surroundings, instructions), _copied_paths(instructions)
    is_foreign = _existing(paths, context, surroundings) > _existing(paths, ".", surroundings)
    return context if is_foreign else ""


def _copied_paths(instructions: Sequence[Instruction]) -> list[str]:
    """Return what is copied from the build context: at most 100 paths."""
    return [
        word
        for each in instructions
        if each.name in ("COPY", "ADD") and not each.heredocs and not each.flag_values("--from")
        for word in (json_words(each.arguments) or each.arguments.split())[:-1]
        if "$" not in word and "://" not in word and word.strip("./")
    ][:100]


def _existing(paths: Sequence[str], folder: str, surroundings: Surroundings) -> int:
    """Return how many of *paths* are in *folder*."""
    places = (surroundings.locate(posixpath.join(folder, path.lstrip("/"))) for path in paths)
    return sum(1 for place in places if place.kind in ("file", "folder"))
