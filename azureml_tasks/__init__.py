"""Invoke tasks for teams that deploy models on Azure Machine Learning.

`image` is the collection of tasks, and `collection` makes one that is bound to a configuration. The core works
without Invoke: `load` (folder → Project), `plan` (Project → Plan), `render` (Plan → Dockerfile text).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml_tasks import image
    from azureml_tasks.cli.collection import collection
    from azureml_tasks.config.schema import json_schema
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.planning.dockerfile import render
    from azureml_tasks.planning.plan import Plan, plan
    from azureml_tasks.project.load import image_names, load
    from azureml_tasks.project.model import Project

__all__ = [
    "AzuremlTasksError",
    "Plan",
    "Project",
    "Settings",
    "collection",
    "image",
    "image_names",
    "json_schema",
    "load",
    "plan",
    "render",
]

_HOMES = {
    "AzuremlTasksError": "errors",
    "Plan": "planning.plan",
    "Project": "project.model",
    "Settings": "config.settings",
    "collection": "cli.collection",
    "image_names": "project.load",
    "json_schema": "config.schema",
    "load": "project.load",
    "plan": "planning.plan",
    "render": "planning.dockerfile",
}


def __getattr__(name: str) -> Any:
    """Import each public name at its first use, so that listing the tasks stays fast."""
    if name in _HOMES:
        return getattr(import_module(f"azureml_tasks.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
