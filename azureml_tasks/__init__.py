"""Invoke tasks for teams that deploy models on Azure Machine Learning.

`image` is the collection of tasks, and `collection` makes one that is bound to a configuration. All else works
without Invoke: `load` (folder → Project), `plan` (Project → Plan), `render` (Plan → Dockerfile text); `build`,
`smoke_test`, `push` and `release` do what the tasks do, and return results.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azureml_tasks import image
    from azureml_tasks.cli.collection import collection
    from azureml_tasks.commands.results import (
        BuildResult,
        FailedSmokeTest,
        PushResult,
        ReleaseResult,
        SmokeTestResult,
    )
    from azureml_tasks.config.schema import json_schema
    from azureml_tasks.config.settings import Settings
    from azureml_tasks.errors import (
        AzuremlTasksError,
        BuildError,
        EngineError,
        MachineError,
        Problem,
        RegistryError,
        RemoteBuildError,
        SettingsError,
        SmokeTestError,
    )
    from azureml_tasks.library.functions import build, push, release, smoke_test
    from azureml_tasks.library.progress import Progress
    from azureml_tasks.library.reading import image_names, load
    from azureml_tasks.library.serving import Server, serving
    from azureml_tasks.notice import Notice
    from azureml_tasks.planning.dockerfile import render
    from azureml_tasks.planning.plan import Plan, plan
    from azureml_tasks.project.model import Project
    from azureml_tasks.version import __version__

__all__ = [
    "AzuremlTasksError",
    "BuildError",
    "BuildResult",
    "EngineError",
    "FailedSmokeTest",
    "MachineError",
    "Notice",
    "Plan",
    "Problem",
    "Progress",
    "Project",
    "PushResult",
    "RegistryError",
    "ReleaseResult",
    "RemoteBuildError",
    "Server",
    "Settings",
    "SettingsError",
    "SmokeTestError",
    "SmokeTestResult",
    "__version__",
    "build",
    "collection",
    "image",
    "image_names",
    "json_schema",
    "load",
    "plan",
    "push",
    "release",
    "render",
    "serving",
    "smoke_test",
]

_HOMES = {
    "AzuremlTasksError": "errors",
    "BuildError": "errors",
    "BuildResult": "commands.results",
    "EngineError": "errors",
    "FailedSmokeTest": "commands.results",
    "MachineError": "errors",
    "Notice": "notice",
    "Plan": "planning.plan",
    "Problem": "errors",
    "Progress": "library.progress",
    "Project": "project.model",
    "PushResult": "commands.results",
    "RegistryError": "errors",
    "ReleaseResult": "commands.results",
    "RemoteBuildError": "errors",
    "Server": "library.serving",
    "Settings": "config.settings",
    "SettingsError": "errors",
    "SmokeTestError": "errors",
    "SmokeTestResult": "commands.results",
    "__version__": "version",
    "build": "library.functions",
    "collection": "cli.collection",
    "image_names": "library.reading",
    "json_schema": "config.schema",
    "load": "library.reading",
    "plan": "planning.plan",
    "push": "library.functions",
    "release": "library.functions",
    "render": "planning.dockerfile",
    "serving": "library.serving",
    "smoke_test": "library.functions",
}


def __getattr__(name: str) -> Any:
    """Import each public name at its first use, so that listing the tasks stays fast."""
    if name in _HOMES:
        return getattr(import_module(f"azureml_tasks.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
