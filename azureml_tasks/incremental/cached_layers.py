"""The beginnings of an image that can be images of their own, so that what comes after them is built alone.

An image is base → system packages → Python packages → model → code, each depending on those before it alone. A
beginning is named by the fingerprint of all that makes it: whoever has that name has it for the same inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.incremental.fingerprint import fingerprint
from azureml_tasks.planning.dockerfile import STAGES, render_stages, stages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.planning.plan import Plan

__all__ = ["CachedLayers", "cached_layers_of", "is_layers_tag", "layers_repository", "stage_context"]

_LASTING = ("system", "python", "model")
"""The stages that a prefix may end with; code and labels change with each commit."""


_DIGITS = 32


class CachedLayers(NamedTuple):
    """A beginning of an image.

    Args:
        stages: all that it holds beyond the base, in their order.
        tag: its name in its repository, which follows from what makes it.
    """

    stages: tuple[str, ...]
    tag: str


def cached_layers_of(plan: Plan, parts: Mapping[str, str]) -> tuple[CachedLayers, ...]:
    """Every prefix of *plan*, the shortest first; each holds all of the one before it.

    Args:
        plan: the image.
        parts: hashes of its inputs, see `fingerprint.fingerprint_parts`.
    """
    texts, found, before = stages(plan), [], {name: parts[name] for name in ("version", "platform", "base")}
    for at, stage in enumerate(_LASTING):
        before[stage] = parts[stage]
        if texts[stage]:
            found.append(CachedLayers(stages=STAGES[: at + 1], tag=fingerprint(before)[:_DIGITS]))
    return tuple(found)


def is_layers_tag(text: str) -> bool:
    """Whether *text* may be the tag of a prefix: as many hexadecimal digits."""
    return len(text) == _DIGITS and not set(text) - set("0123456789abcdef")


def layers_repository(plan: Plan) -> str:
    """The repository of the prefixes of *plan*, beside that of its images."""
    return f"{plan.repository}/prefix"


def stage_context(
    plan: Plan,
    context: BuildContext,
    base: str,
    names: Sequence[str],
    *,
    mounts: bool = False,
    literal: bool = False,
) -> BuildContext:
    """What it takes to build the stages of these *names* alone on the image *base*; its hashes are the whole's.

    Args:
        plan: the image.
        context: of the whole of it.
        base: image reference or id.
        names: stages, in their order.
        mounts: whether for BuildKit alone.
        literal: whether the context's hash stands in the text, and does not come as an argument.
    """
    folders = tuple(f"{name}/" for name in names)
    return BuildContext(
        files=tuple(file for file in context.files if file.name.startswith(folders)),
        dockerfile=render_stages(plan, base, names, mounts=mounts, sha256=context.sha256 if literal else ""),
        sha256=context.sha256,
        parts=context.parts,
        contents=context.contents,
        hashes=context.hashes,
    )
