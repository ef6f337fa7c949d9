"""Plans for the tests of what is done with one."""

from __future__ import annotations

from typing import Any

from azureml_tasks.image_reference import Reference
from azureml_tasks.planning.plan import Plan
from azureml_tasks.project.model import SmokeTestPlan

__all__ = ["plan"]


def plan(**fields: Any) -> Plan:
    """Return the plan of an image `train:1.0` with code alone, with these *fields* instead."""
    defaults: dict[str, Any] = {
        "base": Reference(host="", repository="base", tag="1", digest=""),
        "platform": "linux/amd64",
        "user": "dockeruser",
        "registry": "",
        "repository": "train",
        "tags": ("1.0",),
        "apt": (),
        "python": None,
        "runs": (),
        "has_model": False,
        "has_code": True,
        "env": {},
        "labels": {},
        "files": (),
        "smoke_test": SmokeTestPlan(),
    }
    return Plan(**{**defaults, **fields})
