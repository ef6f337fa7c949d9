"""The CI recipes of `docs/ci.md`: their commands, in order, as the shell of a CI machine would run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tests.documentation import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GITHUB", "PIPELINE", "github_scripts", "pipeline_scripts"]

GITHUB, PIPELINE = (yaml.safe_load(text) for text in blocks(DOCS / "ci.md", "yaml"))


def github_scripts(job: str) -> list[str]:
    """Return the scripts of a job of the GitHub workflow."""
    return [step["run"] for step in GITHUB["jobs"][job]["steps"] if "run" in step]


def pipeline_scripts() -> list[str]:
    """Return the scripts of the Azure pipeline."""
    return list(_scripts(PIPELINE["steps"]))


def _scripts(steps: list[dict[str, Any]]) -> Iterator[str]:
    for step in steps:
        if "bash" in step:
            yield step["bash"]
        elif step.get("task", "").startswith("AzureCLI"):
            yield step["inputs"]["inlineScript"]
