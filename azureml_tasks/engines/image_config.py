"""The configuration of an image that copies files on another one, from that one's: what a reader of Dockerfiles makes.

https://github.com/moby/docker-image-spec/blob/main/spec.md; the history is worded as BuildKit's own reader words it.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from azureml_tasks.dockerfile import CONTEXT_LABEL
from azureml_tasks.engines.llb import Copy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.context import Context
    from azureml_tasks.planning import Plan

__all__ = ["UnfitError", "configuration", "copies_of", "instructions"]

_COPY, _ENV, _LABEL, _USER = "COPY ", "ENV ", "LABEL ", "USER "
_SAID_OF_IT = ("architecture", "os", "os.version", "os.features", "variant", "author")
_SAID_OF_CONTAINERS = (
    *("ArgsEscaped", "Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "Shell"),
    *("StopSignal", "StopTimeout", "User", "Volumes", "WorkingDir"),
)
"""What is taken over; the rest tells of the container that the image below was made in."""


class UnfitError(Exception):
    """Only who reads Dockerfiles makes this image; the message says why."""


def instructions(dockerfile: str) -> list[str] | None:
    """Each instruction after FROM on one line; None where some do more than copy and say."""
    joined = re.sub(r" \\\n +", " ", dockerfile)
    found = [line for line in joined.splitlines() if line and not line.startswith(("#", "FROM "))]
    return found if all(line.startswith((_COPY, _ENV, _LABEL, _USER)) for line in found) else None


def copies_of(steps: Sequence[str]) -> list[Copy]:
    """What is copied, layer by layer."""
    return [Copy(*step.removeprefix(_COPY).split()) for step in steps if step.startswith(_COPY)]


def configuration(
    base: bytes, plan: Plan, context: Context, steps: Sequence[str], *, now: float
) -> dict[str, Any]:
    """The configuration, as JSON has it, without the layers, which the engine adds.

    Args:
        base: the configuration of the image below.
        plan: says the variables and labels, where any are said.
        context: says the label of its hash.
        steps: as of `instructions`.
        now: seconds since 1970 (UTC).

    Raises:
        UnfitError: who builds on the image below is to do more than *steps* say.
        ValueError: *base* is none.
    """
    below = json.loads(base)
    before = below.get("config") or {}
    said = {name: text for name in _SAID_OF_CONTAINERS if (text := before.get(name))}
    if before.get("OnBuild"):
        raise UnfitError("the image below has instructions for who builds on it")
    for step in steps:
        said |= _set(said, plan, context, step)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    return {
        **{name: below[name] for name in _SAID_OF_IT if below.get(name)},
        "created": moment,
        "config": said,
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [*(below.get("history") or []), *(_told(step, moment) for step in steps)],
    }


def _set(said: Mapping[str, Any], plan: Plan, context: Context, step: str) -> dict[str, Any]:
    """What an instruction changes of what is *said* of containers."""
    if step.startswith(_ENV):
        before = dict(pair.partition("=")[::2] for pair in said.get("Env", []))
        return {"Env": [f"{name}={text}" for name, text in (before | dict(plan.env)).items()]}
    if step.startswith(_LABEL):
        return {"Labels": {**said.get("Labels", {}), **plan.labels, CONTEXT_LABEL: context.sha256}}
    return {"User": step.removeprefix(_USER)} if step.startswith(_USER) else {}


def _told(step: str, moment: str) -> dict[str, Any]:
    by, made = (f"{step} # buildkit", {}) if step.startswith(_COPY) else (step, {"empty_layer": True})
    return {"created": moment, "created_by": by, "comment": "buildkit.dockerfile.v0", **made}
