"""What an image is made of, part by part, as one value: two that are equal make the same image."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from azureml_tasks.planning.dockerfile import STAGES, stages
from azureml_tasks.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.context.build_context import BuildContext
    from azureml_tasks.planning.plan import Plan

__all__ = ["changed_parts", "fingerprint", "fingerprint_parts"]

_WORDS = {
    "version": "azureml-tasks itself",
    "platform": "the platform",
    "base": "the base",
    "system": "the system packages",
    "python": "the Python packages",
    "model": "the model",
    "code": "the code or its variables",
    "labels": "the labels or the user",
}
"""Each part, in the order in which they are built, as people say it."""


def fingerprint_parts(plan: Plan, context: BuildContext, base: str) -> dict[str, str]:
    """The parts of the image by name, in the order in which they are built: everything that makes it, and no more.

    Names and tags are no part of it, nor is what a secret holds.

    Args:
        plan: the image.
        context: its files.
        base: what the engine or a registry calls the base, an id or a digest that never moves.
    """
    texts = stages(plan)
    said = {name: _sha256([texts[name], context.parts.get(name, "")]) for name in STAGES}
    return {"version": VERSION, "platform": plan.platform, "base": base, **said}


def fingerprint(parts: Mapping[str, str]) -> str:
    """The SHA-256 over *parts*, in hexadecimal: it names what they make."""
    return _sha256(list(parts.items()))


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between two makings, as people say it, the first to be built first."""
    return [words for name, words in _WORDS.items() if before.get(name) != now.get(name)]


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
