"""What an engine says of how an image was made → the history that stands in an image's configuration.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageHistory
https://github.com/moby/docker-image-spec/blob/main/spec.md, "history"
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ours", "told"]

_OF_NO_FILE = (
    r"(?:/bin/sh -c #\(nop\) +)?"
    r"(?:ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|SHELL|STOPSIGNAL|USER|VOLUME)\b"
)
_WITHOUT_A_LAYER = ("", rf"{_OF_NO_FILE}|/bin/sh -c #\(nop\) WORKDIR", _OF_NO_FILE)
"""How the steps without a layer begin among those of no size, in three readings: in any way; with an instruction that
changes no file, or with WORKDIR of the legacy builder, as for a folder that is there; with the former alone.
"""


def told(steps: Sequence[Mapping[str, Any]], layers: int) -> list[dict[str, Any]] | None:
    """The history of an image, the first step first; None where it is not clear which steps made its *layers*.

    Args:
        steps: what the engine says of each, the last first. It gives a size of 0 to one that has no layer, and to one
            whose layer is empty.
        layers: how many the image has.
    """
    for without in _WITHOUT_A_LAYER:
        made = [bool(step["Size"]) or not re.match(without, step["CreatedBy"]) for step in steps]
        if sum(made) == layers:
            found = [_entry(step, has_layer=has_layer) for step, has_layer in zip(steps, made, strict=True)]
            return found[::-1]
    return None


def ours(instructions: Sequence[str], now: float) -> list[dict[str, Any]]:
    """The history of these *instructions*, as of *now*, seconds since 1970 (UTC)."""
    steps = ({"Created": now, "CreatedBy": text, "Comment": "azureml-tasks"} for text in instructions)
    return [_entry(step, has_layer=str(step["CreatedBy"]).startswith("COPY ")) for step in steps]


def _entry(step: Mapping[str, Any], *, has_layer: bool) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(step["Created"]))
    made = {"created": created, "created_by": step["CreatedBy"], "comment": step["Comment"]}
    return {name: text for name, text in made.items() if text} | ({} if has_layer else {"empty_layer": True})
