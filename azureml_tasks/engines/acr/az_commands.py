"""Each effect of a hand-off as the command of Azure's or Docker's that does the same, to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.candidates import repository_of
from azureml_tasks.engines.acr.task_file import RUN_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azureml_tasks.planning.plan import Plan

__all__ = ["build", "copy", "delete", "logs", "run", "unpack"]

_FOLDER = "context"


def unpack() -> list[str]:
    """Unpack the context into a folder."""
    return ["tar", "--extract", f"--one-top-level={_FOLDER}"]


def build(plan: Plan, context_sha256: str) -> list[str]:
    """Hand the folder off to a quick build."""
    image = f"{repository_of(plan.repository)}:{RUN_ID}"
    argument = f"CONTEXT_SHA256={context_sha256}"
    words = ["az", "acr", "build", *_common(plan), "--image", image, "--build-arg", argument]
    return [*words, "--platform", plan.platform, _FOLDER]


def run(plan: Plan) -> list[str]:
    """Hand the folder off to a multi-step task, whose file comes by standard input."""
    return ["az", "acr", "run", *_common(plan), "--file", "-", _FOLDER]


def _common(plan: Plan) -> list[str]:
    acr = plan.acr or Acr()
    pool = ["--agent-pool", acr.agent_pool] if acr.agent_pool else []
    return [*_registry(plan), "--timeout", str(acr.timeout), *pool]


def logs(plan: Plan, run: str) -> list[str]:
    """Show the log of a run to its end."""
    return ["az", "acr", "task", "logs", *_registry(plan), "--run-id", run]


def copy(login_server: str, source: str, target: str) -> list[str]:
    """Give an image of the registry another name there."""
    name = login_server.partition(".")[0]
    return ["az", "acr", "import", "--name", name, "--source", source, "--image", target, "--force"]


def delete(login_server: str, image: str) -> list[str]:
    """Delete an image by its digest."""
    return [
        "az",
        "acr",
        "repository",
        "delete",
        "--name",
        login_server.partition(".")[0],
        "--image",
        image,
        "--yes",
    ]


def _registry(plan: Plan) -> Sequence[str]:
    return ["--registry", plan.registry.partition(".")[0] or "REGISTRY"]
