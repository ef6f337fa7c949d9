"""What was pushed, told to the CI system that runs this, so that later steps can use it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.reporter import Reporter

__all__ = ["tell"]


def tell(outputs: Mapping[str, str], reporter: Reporter) -> None:
    """Set *outputs* (name → one line) as outputs of this step, in GitHub Actions and Azure Pipelines.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-output-parameter,
    https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands#setvariable-initialize-or-modify-the-value-of-a-variable
    """
    if github := os.environ.get("GITHUB_OUTPUT"):
        with Path(github).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in outputs.items())
    if os.environ.get("TF_BUILD"):
        for name, value in outputs.items():
            reporter.result(f"##vso[task.setvariable variable={name};isOutput=true]{value}")
