"""The typed core, usable without Invoke."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks import load, plan, render
from tests.cases import lay_out
from tests.consumers import project

if TYPE_CHECKING:
    from pathlib import Path


def test_every_public_name_is_there() -> None:
    """Each name that the package lists can be had from it, from the module that defines it."""
    homes = {
        name: getattr(azureml_tasks, name).__module__ for name in azureml_tasks.__all__ if name != "image"
    }

    assert homes == {
        "AzuremlTasksError": "azureml_tasks.errors",
        "Plan": "azureml_tasks.planning.plan",
        "Project": "azureml_tasks.project.model",
        "Settings": "azureml_tasks.config.settings",
        "collection": "azureml_tasks.cli.collection",
        "image_names": "azureml_tasks.project.load",
        "json_schema": "azureml_tasks.config.schema",
        "load": "azureml_tasks.project.load",
        "plan": "azureml_tasks.planning.plan",
        "render": "azureml_tasks.planning.dockerfile",
    }


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """A misspelt name fails as it does for any module."""
    with pytest.raises(AttributeError, match=r"\Amodule 'azureml_tasks' has no attribute 'rendr'\Z"):
        _ = azureml_tasks.rendr


def test_a_dockerfile_in_one_line(tmp_path: Path) -> None:
    """load, plan and render lead from a folder to the text, the same each time."""
    lay_out({"pyproject.toml": project("demo", 'registry = "r.io"\n')}, tmp_path)

    made = plan(load(tmp_path))

    assert ("r.io/demo:1.2.3",) == made.names
    assert render(made) == render(plan(load(str(tmp_path))))


def test_the_core_needs_no_invoke() -> None:
    """From folder to Dockerfile, neither Invoke nor the docker SDK is loaded."""
    program = (
        "import sys; from azureml_tasks import Plan, Settings, load, plan, render;"
        "print(*sorted({'docker', 'invoke', 'requests', 'tqdm'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "\n" == done.stdout
