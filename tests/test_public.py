"""The typed core, usable without Invoke."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import is_dataclass
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks import image, load, plan, render
from azureml_tasks.cli.tasks import TASKS
from azureml_tasks.commands import results
from tests.cases import lay_out
from tests.consumers import project

if TYPE_CHECKING:
    from pathlib import Path


def test_every_public_name_is_there() -> None:
    """Each name that the package lists can be had from it, from the module that defines it."""
    modules = {
        name: getattr(azureml_tasks, name).__module__
        for name in azureml_tasks.__all__
        if name not in {"__version__", "image"}
    }

    homes = {
        "cli.collection": ["collection"],
        "commands.results": [
            *("BuildResult", "FailedSmokeTest", "PushResult", "ReleaseResult", "SmokeTestResult"),
        ],
        "config.schema": ["json_schema"],
        "config.settings": ["Settings"],
        "errors": [
            *("AzuremlTasksError", "BuildError", "EngineError", "MachineError", "Problem"),
            *("RegistryError", "RemoteBuildError", "SettingsError", "SmokeTestError"),
        ],
        "library.functions": ["build", "push", "release", "smoke_test"],
        "library.progress": ["Progress"],
        "library.reading": ["image_names", "load"],
        "library.serving": ["Server", "serving"],
        "notice": ["Notice"],
        "planning.dockerfile": ["render"],
        "planning.plan": ["Plan", "plan"],
        "project.model": ["Project"],
    }
    assert {name: f"azureml_tasks.{home}" for home, names in homes.items() for name in names} == modules


def test_the_module_of_the_tasks_has_all_of_them() -> None:
    """Each task is there under its name, so that another task can name it in `pre=`."""
    tasks = {spec.name.replace("-", "_"): spec.name for spec in TASKS}

    assert {"ns", *tasks} == set(image.__all__)
    assert {name: image.ns[task] for name, task in tasks.items()} == {
        name: getattr(image, name) for name in tasks
    }


def test_the_version() -> None:
    """It is that of the distribution."""
    assert distribution("azureml-tasks").version == azureml_tasks.__version__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """A misspelt name fails as it does for any module."""
    with pytest.raises(AttributeError, match=r"\Amodule 'azureml_tasks' has no attribute 'rendr'\Z"):
        _ = azureml_tasks.rendr


def test_a_dockerfile_in_one_line(tmp_path: Path) -> None:
    """load, plan and render lead from a folder to the text, the same each time."""
    lay_out({"pyproject.toml": project("demo", 'registry = "r.io"\n')}, tmp_path)

    image_plan = plan(load(tmp_path))

    assert ("r.io/demo:1.2.3",) == image_plan.names
    assert render(image_plan) == render(plan(load(str(tmp_path))))


@pytest.mark.parametrize(
    "program",
    [
        "from azureml_tasks import Plan, Settings, load, plan, render",
        "import azureml_tasks; azureml_tasks.load(FOLDER)",
        "import azureml_tasks.library.functions",
    ],
)
def test_neither_invoke_nor_an_engine_is_loaded(program: str, tmp_path: Path) -> None:
    """From folder to Dockerfile nobody needs them; the functions load the engine at its first use, and never Invoke."""
    lay_out({"pyproject.toml": project("demo")}, tmp_path)
    program = (
        f"import sys; {program.replace('FOLDER', repr(str(tmp_path)))};"
        "print(*sorted({'docker', 'invoke', 'requests', 'rich'} & set(sys.modules)))"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "\n" == ended.stdout


def test_results_cannot_be_changed() -> None:
    """Each public dataclass is frozen, and each part of a result is."""
    public = {name: getattr(azureml_tasks, name) for name in azureml_tasks.__all__}
    classes = {name: each for name, each in (vars(results) | public).items() if is_dataclass(each)}

    assert {"BuildResult", "PushResult", "ReleaseResult", "Report", "SmokeTestResult"} <= classes.keys()
    assert [] == [name for name, each in classes.items() if not vars(each)["__dataclass_params__"].frozen]


def test_importing_the_package_loads_nothing_of_it() -> None:
    """Each name is loaded at its first use."""
    program = "import sys, azureml_tasks; print(*sorted(name for name in sys.modules if 'azureml' in name))"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "azureml_tasks\n" == ended.stdout
