"""Hashes of everything that determines an image: equal hashes mean that a build would give the same image."""

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


def fingerprint_parts(plan: Plan, context: BuildContext, base: str) -> dict[str, str]:
    """Return a hash or name for each input of the image, in the order in which a build uses them.

    Names and tags are no inputs, nor are the values of secrets.

    Args:
        plan: the image.
        context: its files.
        base: ID or digest of the base image.
    """
    texts = stages(plan)
    hashes = {name: _sha256([texts[name], context.parts.get(name, "")]) for name in STAGES}
    return {"version": VERSION, "platform": plan.platform, "base": base, **hashes}


def fingerprint(parts: Mapping[str, str]) -> str:
    """Return the SHA-256 of *parts* in hexadecimal."""
    return _sha256(list(parts.items()))


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
