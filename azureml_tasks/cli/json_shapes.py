"""What `--json` prints: one class for each kind of task, and the JSON Schema of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.cli.json_check_shapes import CheckOutput
from azureml_tasks.cli.json_common_shapes import Output
from azureml_tasks.cli.json_init_shapes import InitOutput
from azureml_tasks.commands.results import (  # noqa: TC001 -- `typed_json` reads the types of fields
    BuildResult,
    CacheEntry,
    PushResult,
    SmokeTestResult,
)
from azureml_tasks.engines.doctor_finding import Status  # noqa: TC001 -- `typed_json` reads the types of fields
from azureml_tasks.typed_json import schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_ID = "urn:azureml-tasks:schema:output"


@dataclass(frozen=True, kw_only=True)
class ImageSteps:
    """One image, and the steps that have ended.

    Args:
        name: in the table; null if the table itself is the image.
        build: null if the task does not build, or has not built it.
        smoke_test: likewise.
        push: likewise.
    """

    name: str = ""
    build: BuildResult | None = None
    smoke_test: SmokeTestResult | None = None
    push: PushResult | None = None


@dataclass(frozen=True, kw_only=True)
class StepsOutput(Output):
    """What `image.build`, `smoke-test`, `push`, `release` and `resume` print.

    Args:
        images: those of which a step has ended, in order.
    """

    images: tuple[ImageSteps, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FindingOutput:
    """One finding of `image.doctor`.

    Args:
        name: of what was looked at, such as "buildx".
        status: how it is to be taken; "blocks" if nothing works before it is put right.
        what: what is the case, in one line.
        why: why it matters, in one line.
        fix: the command or the step that puts it right; lines are kept.
        repairable: whether `--fix` puts it right.
    """

    name: str
    status: Status
    what: str
    why: str = ""
    fix: str = ""
    repairable: bool


@dataclass(frozen=True, kw_only=True)
class DoctorOutput(Output):
    """What `image.doctor` prints.

    Args:
        findings: in order.
        repaired: names of those that `--fix` has put right.
    """

    findings: tuple[FindingOutput, ...] = ()
    repaired: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CacheOutput(Output):
    """What `image.cache` prints.

    Args:
        layers: cached layers, the newest first; empty with `--prune`.
        removed: names of those that `--prune` has removed.
    """

    layers: tuple[CacheEntry, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageYaml:
    """The YAML of one image.

    Args:
        name: in the table; null if the table itself is the image.
        yaml: text for `az ml`.
    """

    name: str = ""
    yaml: str


@dataclass(frozen=True, kw_only=True)
class EnvironmentOutput(Output):
    """What `image.environment` prints.

    Args:
        images: in the order of the table.
        written: path of the file that `--output` names; null without it, and under `--dry`.
    """

    images: tuple[ImageYaml, ...] = ()
    written: str = ""


SHAPES: Mapping[str, type[Output]] = {
    "build": StepsOutput,
    "cache": CacheOutput,
    "check": CheckOutput,
    "doctor": DoctorOutput,
    "environment": EnvironmentOutput,
    "init": InitOutput,
    "push": StepsOutput,
    "release": StepsOutput,
    "resume": StepsOutput,
    "smoke-test": StepsOutput,
}
"""What each task prints."""


def output_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07) of all that `--json` prints."""
    definitions: dict[str, Any] = {}
    references = {cls: schema_of(cls, definitions) for cls in dict.fromkeys(SHAPES.values())}
    for cls in references:
        tasks = [task for task, shape in SHAPES.items() if shape is cls]
        definitions[cls.__name__]["properties"]["task"] |= {"enum": tasks}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": SCHEMA_ID,
        "title": "What the tasks of azureml-tasks print with --json",
        "oneOf": [*references.values()],
        "definitions": definitions,
    }
