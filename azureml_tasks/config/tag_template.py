"""Image tags from templates over what the project knows of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_tasks.image_reference import TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLACEHOLDERS", "BadTag", "Unavailable", "check", "render"]

PLACEHOLDERS = ("version", "git-sha", "git-branch", "date")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_IMPOSSIBLE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Unavailable:
    """A value that cannot be had, and why."""

    why: str


class BadTag(ValueError):
    """A template that gives no tag; the message says why."""


def check(template: str) -> str:
    """Say what is wrong with *template* whatever its values are; "" where nothing is."""
    unknown = [name for name in _PLACEHOLDER.findall(template) if name not in PLACEHOLDERS]
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    if unknown:
        return f'has the unknown placeholder "{{{unknown[0]}}}"; known are {known}'
    if set(_PLACEHOLDER.sub("", template)) & {"{", "}"}:
        return f"has a brace without its partner; placeholders are {known}"
    return ""


def render(template: str, values: Mapping[str, str | Unavailable]) -> str:
    """Fill in *template*; each run of characters that a tag cannot have becomes `-`.

    Args:
        template: accepted by `check`.
        values: one for each of `PLACEHOLDERS`.

    Raises:
        BadTag: a value cannot be had, or no registry takes the result
            (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests).
    """
    for name in _PLACEHOLDER.findall(template):
        value = values[name]
        if isinstance(value, Unavailable):
            raise BadTag(f"needs {{{name}}}, and {value.why}")
    tag = _IMPOSSIBLE.sub("-", _PLACEHOLDER.sub(lambda found: str(values[found[1]]), template))
    if not re.fullmatch(TAG, tag):
        why = 'starts with "." or "-"' if tag[0] in ".-" else "is longer than 128 characters"
        raise BadTag(f'gives "{tag}", which no registry takes: it {why}')
    return tag
