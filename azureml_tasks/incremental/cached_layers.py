"""Layers below the code that are images of their own, so that a build creates only what comes after them.

An image is base → system packages → Python packages → model → code, and each stage depends only on those before it.
The tag of cached layers is a fingerprint of all their inputs: the same tag means the same inputs. It does not say who
has built them, so cached layers are never found by a tag alone, see `state.layer_records`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks import image_reference
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.incremental.fingerprint import fingerprint
from azureml_tasks.planning.dockerfile import STAGES, render_stages, stages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from azureml_tasks.planning.plan import Plan

_CACHED_STAGES = ("system", "python", "model")
"""The stages that cached layers may end with; code and labels change with each commit."""
_DIGITS = 32
_GROWN = "-grown"
NO_REGISTRY = image_reference.NO_REGISTRY
"""The host of the names of cached layers, so that no builder looks for them in a registry."""


class CachedLayers(NamedTuple):
    """The stages of an image up to one of them.

    Args:
        stages: all stages beyond the base, in their order.
        tag: a fingerprint of the inputs of all these stages, and of the scope of the run if it has one.
    """

    stages: tuple[str, ...]
    tag: str

    @property
    def grown_tag(self) -> str:
        """The tag of layers that got some packages later, on layers that had the others already."""
        return f"{self.tag}{_GROWN}"


def cached_layers_of(plan: Plan, parts: Mapping[str, str]) -> tuple[CachedLayers, ...]:
    """Return all cached layers that an image can use, the shortest first; each holds those before it.

    Args:
        plan: the image.
        parts: hashes of its inputs, see `fingerprint.fingerprint_parts`.
    """
    texts, tags = stages(plan), _tags(parts, plan.cache_scope)
    return tuple(
        CachedLayers(stages=STAGES[: position + 1], tag=tags[stage])
        for position, stage in enumerate(_CACHED_STAGES)
        if texts[stage]
    )


def recorded_tags(parts: Mapping[str, str], scope: str) -> frozenset[str]:
    """Return every tag that cached layers of an image can have, by the inputs that were recorded when it was built.

    Args:
        parts: hashes of its inputs; of a remote build or another version they may not be known.
        scope: of the run.
    """
    if not {"version", "platform", "base", *_CACHED_STAGES} <= parts.keys():
        return frozenset()
    tags = _tags(parts, scope).values()
    return frozenset(each for tag in tags for each in (tag, f"{tag}{_GROWN}"))


def _tags(parts: Mapping[str, str], scope: str) -> dict[str, str]:
    """Return the tag of the cached layers that end with each stage."""
    inputs = {name: parts[name] for name in ("version", "platform", "base")}
    if scope:
        inputs["scope"] = scope
    tags = {}
    for stage in _CACHED_STAGES:
        inputs[stage] = parts[stage]
        tags[stage] = fingerprint(inputs)[:_DIGITS]
    return tags


def current_tags(layers: Iterable[CachedLayers], stored: Collection[str]) -> set[str]:
    """Return the tags among *stored* that a build uses: grown layers only if there are none in one piece."""
    choices = (each.tag if each.tag in stored else each.grown_tag for each in layers)
    return {tag for tag in choices if tag in stored}


def is_layers_tag(text: str) -> bool:
    """Return whether *text* can be the tag of cached layers in a registry: 32 hexadecimal digits."""
    return len(text) == _DIGITS and not set(text) - set("0123456789abcdef")


def is_grown_tag(text: str) -> bool:
    """Return whether *text* is the tag of grown layers, see `CachedLayers.grown_tag`."""
    return text.endswith(_GROWN)


def layers_repository(plan: Plan) -> str:
    """Return the repository of the cached layers in a registry, without the registry; images of one table share it."""
    return f"{plan.family or plan.repository}/layers"


def kept_name(plan: Plan, tag: str) -> str:
    """Return the image reference that keeps cached layers on an engine from being pruned.

    Projects of one name do not share it, so none takes it from another.
    """
    digits = fingerprint({"project": plan.project_key, "tag": tag.removesuffix(_GROWN)})[:_DIGITS]
    return f"{NO_REGISTRY}/{layers_repository(plan)}:{digits}{_GROWN if is_grown_tag(tag) else ''}"


def stage_context(
    plan: Plan,
    context: BuildContext,
    base: str,
    names: Sequence[str],
    *,
    mounts: bool = False,
    literal: bool = False,
) -> BuildContext:
    """Return the build context of some stages on an image; its hashes are those of the whole context.

    Args:
        plan: the image.
        context: of the whole image.
        base: reference or ID of the image that the stages are built on.
        names: the stages, in their order.
        mounts: write the Dockerfile for BuildKit only.
        literal: write the hash of the context into the Dockerfile instead of reading it from a build argument.
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
