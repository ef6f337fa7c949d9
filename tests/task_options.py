"""The options of one run, as a task gets them."""

from __future__ import annotations

from typing import Any

from invoke.config import Config
from invoke.context import Context

from azureml_tasks.cli.options import TaskRun, resolve

__all__ = ["resolved"]


def resolved(configuration: dict[str, Any] | None = None, **flags: Any) -> TaskRun:
    """The options of a build without an executor around it."""
    context = Context(Config(overrides={"azureml_image": configuration or {}}))
    return resolve(context, "build", flags, bound={})
