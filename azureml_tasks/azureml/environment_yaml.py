"""The YAML of an Azure ML environment and of a managed online deployment for a pushed image."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from azureml_tasks.config import azure_validators
from azureml_tasks.context.own_outputs import GENERATED_HEAD
from azureml_tasks.plain_text import escape_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import SmokeTestPlan

SCHEMA = "https://azuremlschemas.azureedge.net/latest/{}.schema.json"
"""The schemas of Azure ML: https://learn.microsoft.com/azure/machine-learning/reference-yaml-overview."""
# https://learn.microsoft.com/azure/machine-learning/reference-yaml-environment
# https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online
_LONGEST_DEPLOYMENT = 32  # characters
_TIMEOUT_MS = 5000
"""Azure ML's default timeout of a request. No lower one is set, because it includes the client's way to the server."""
_DELAY, _PERIOD, _FAILURES = 10, 10, 30
"""Azure ML's default probes: seconds before the first, seconds between two, and how many may fail."""
_MARGIN = 2
"""A start may take this many times as long as in the smoke test, because the machine is another one."""


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """An image in a registry.

    Args:
        image: `registry/repository@sha256:…`.
        tags: the tags that it was pushed with.
        started: seconds until it was ready in its smoke test; None without one.
    """

    image: str
    tags: tuple[str, ...]
    started: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Image references, `registry/repository:tag` for each tag."""
        return tuple(f"{self.image.rpartition('@')[0]}:{tag}" for tag in self.tags)

    @property
    def digest(self) -> str:
        """The digest in hexadecimal, without its algorithm."""
        return self.image.rpartition(":")[2]

    @property
    def environment(self) -> str:
        """The name of the environment: the repository, in characters that Azure ML allows."""
        repository = self.image.rpartition("@")[0].partition("/")[2]
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", repository)
        return f"image-{name}" if azure_validators.ENVIRONMENT.error(name) else name

    @property
    def version(self) -> str:
        """The version of the environment, from the digest; it is not a number, so that YAML keeps it a string."""
        return f"sha256-{self.digest[:12]}"


def environment_text(pushed: Pushed, smoke_test: SmokeTestPlan, *, name: str = "") -> str:
    """Return the YAML of an Azure ML environment.

    Args:
        pushed: the image.
        smoke_test: knows the port and the paths that its server answers.
        name: of the environment; "" for one from the repository.
    """
    health: dict[str, Value] = {"port": smoke_test.port, "path": smoke_test.health}
    return generated({
        "$schema": SCHEMA.format("environment"),
        "name": name or pushed.environment,
        "version": pushed.version,
        "description": ", ".join(pushed.names),
        "image": pushed.image,
        "os_type": "linux",
        "inference_config": {
            "liveness_route": health,
            "readiness_route": health,
            "scoring_route": {"port": smoke_test.port, "path": smoke_test.scoring_path},
        },
    })  # fmt: skip


def deployment_text(pushed: Pushed, plan: Plan, *, endpoint: str, instance_type: str, name: str = "") -> str:
    """Return the YAML of a managed online deployment.

    Each image gets its own deployment next to the earlier ones, so that traffic can move step by step.

    Args:
        pushed: the image.
        plan: the plan that it was built from.
        endpoint: the name of the endpoint.
        instance_type: the size of the virtual machine.
        name: of the environment; "" for one from the repository.
    """
    name = name or pushed.environment
    comments: dict[str, str] = {}
    values: dict[str, Value] = {
        "$schema": SCHEMA.format("managedOnlineDeployment"),
        "name": deployment_name(name, pushed.digest),
        "endpoint_name": endpoint,
        **_mounts(plan, name, comments),
        "environment": f"azureml:{name}:{pushed.version}",
        "instance_type": instance_type,
        "instance_count": 1,
        **serving_settings(plan, pushed.started, comments),
    }
    return generated(values, comments)


def serving_settings(plan: Plan, started: float | None, comments: dict[str, str]) -> dict[str, Value]:
    """Return the limits of requests, and probes that wait long enough.

    Args:
        plan: the image.
        started: seconds until it was ready in its smoke test; None without one.
        comments: receives what is said of a key.
    """
    return {
        "request_settings": {
            "request_timeout_ms": max(
                [_TIMEOUT_MS, *(round(r.timeout * 1000) for r in plan.smoke_test.requests)]
            ),
            "max_concurrent_requests_per_instance": _workers(plan),
        },
        **_probes(started, comments),
    }


def deployment_name(name: str, digest: str) -> str:
    """Return a name that `azure_validators.ENDPOINT` accepts: the start of *name* and of *digest*."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    stem = slug if slug[:1].isalpha() else f"image-{slug}"
    return f"{stem[: _LONGEST_DEPLOYMENT - 9].rstrip('-')}-{digest[:8]}"


def _mounts(plan: Plan, name: str, comments: dict[str, str]) -> dict[str, Value]:
    """Return what Azure ML must mount because the image does not contain it."""
    values: dict[str, Value] = {}
    has_code = plan.has_code or plan.served_by_base or "AZUREML_ENTRY_SCRIPT" in plan.env
    if not plan.has_model and "AZUREML_MODEL_DIR" not in plan.env:
        if plan.smoke_test.model or not has_code:
            values["model"] = f"azureml:{name}@latest"
            comments["model"] = (
                "The image contains no model, so Azure ML mounts this one. Write the name of your model."
            )
        else:
            contains = "may contain" if plan.own_dockerfile else "contains"
            comments["environment"] = (
                f"The image {contains} no model. If its code loads one, add a line with its name:\n"
                f'model: "azureml:{name}@latest"'
            )
    if not has_code:
        values["code_configuration"] = {"code": "./code", "scoring_script": "score.py"}
        comments["code_configuration"] = (
            "The image contains no code, so Azure ML mounts this. Write your folder, relative to this file, and script."
        )
    return values


def _workers(plan: Plan) -> int:
    """Return how many requests the server in the image answers at a time."""
    text = plan.env.get("WORKER_COUNT", "")
    return max(1, int(text)) if re.fullmatch(r"[0-9]{1,6}", text) else 1


def _probes(started: float | None, comments: dict[str, str]) -> dict[str, Value]:
    """Return probes that wait long enough for the measured start; empty if the default probes do."""
    budget = _DELAY + _PERIOD * _FAILURES
    needed = math.ceil(_MARGIN * (started or 0))
    if needed <= budget:
        return {}
    comments["liveness_probe"] = (
        f"The start took {started:.0f} s in the smoke test; Azure ML's default probes wait {budget} s."
    )
    return {
        "liveness_probe": {"initial_delay": needed},
        "readiness_probe": {"failure_threshold": math.ceil(needed / _PERIOD)},
    }


Value: TypeAlias = "str | int | Mapping[str, Value]"


def generated(values: Mapping[str, Value], comments: Mapping[str, str] | None = None) -> str:
    """Return *values* as `dump` does, with a first line by which our commands know what they have written."""
    return f"{GENERATED_HEAD} by image.environment.\n{dump(values, comments)}"


def dump(values: Mapping[str, Value], comments: Mapping[str, str] | None = None) -> str:
    """Return *values* as YAML text, in their order.

    Every string is in double quotes, so that no version of YAML reads it as a number, a date or a boolean.

    Args:
        values: not empty, like each mapping in it; its keys need no quotes in YAML.
        comments: key of *values* → the lines of the comment above it.
    """
    lines: list[str] = []
    for key, value in values.items():
        lines += [f"# {line}" for line in (comments or {}).get(key, "").splitlines()]
        lines += _lines({key: value}, "")
    return "".join(f"{line}\n" for line in lines)


def _lines(values: Mapping[str, Value], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {_quoted(value) if isinstance(value, str) else value}"


def _quoted(text: str) -> str:
    """Return *text* as a string of YAML, in which a CI system finds no command: its escapes are those of JSON."""
    return escape_json(f'"{"".join(map(_escaped, text))}"')


def _escaped(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\U{ord(character):08X}"
