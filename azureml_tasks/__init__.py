"""Reusable Invoke tasks for teams that deploy models on Azure Machine Learning.

`from azureml_tasks import image` gives the tasks. The typed core works without Invoke:
`load` (folder → Project), `plan` (Project → Plan), `render` (Plan → Dockerfile text).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml_tasks import image
    from azureml_tasks.dockerfile import render
    from azureml_tasks.errors import AzuremlTasksError
    from azureml_tasks.facts import Facts, Project
    from azureml_tasks.planning import Plan, plan
    from azureml_tasks.project import load
    from azureml_tasks.settings import Settings

__all__ = ["AzuremlTasksError", "Facts", "Plan", "Project", "Settings", "image", "load", "plan", "render"]

_HOMES = {
    "AzuremlTasksError": "errors",
    "Facts": "facts",
    "Plan": "planning",
    "Project": "facts",
    "Settings": "settings",
    "load": "project",
    "plan": "planning",
    "render": "dockerfile",
}


def __getattr__(name: str) -> Any:
    """Load each public name when it is first asked for: listing tasks needs few of them."""
    if name in _HOMES:
        return getattr(import_module(f"azureml_tasks.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
