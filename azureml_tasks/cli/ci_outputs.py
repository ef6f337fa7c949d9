"""Outputs of a CI step, so that later steps can use what was pushed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_tasks.errors import machine_error
from azureml_tasks.notice import Notice
from azureml_tasks.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.cli.console import Console


def set_step_outputs(outputs: Mapping[str, str], console: Console) -> None:
    """Set *outputs* (name → one line) in GitHub Actions and Azure Pipelines; elsewhere do nothing.

    What they are about has happened, so a file of the CI system that cannot be written is only a warning.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-output-parameter,
    https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands#setvariable-initialize-or-modify-the-value-of-a-variable
    """
    if github := os.environ.get("GITHUB_OUTPUT"):
        try:
            with Path(github).open("a", encoding="utf-8") as file:
                file.writelines(f"{name}={one_line(value)}\n" for name, value in outputs.items())
        except OSError as error:
            what = f"the outputs of this step could not be set: {machine_error(error).what}"
            console.warn(Notice("job-outputs", what))
    if os.environ.get("TF_BUILD"):
        for name, value in outputs.items():
            command = f"##vso[task.setvariable variable={name};isOutput=true]"
            console.step_command(command + one_line(value))
