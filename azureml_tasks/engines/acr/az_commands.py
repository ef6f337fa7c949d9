"""The commands of the Azure CLI that do the same as this engine, for --dry and --echo.

A registry is named by its login server, which `az acr` takes too: its first part is not always the registry's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr.candidates import RUN_ID, candidate_repository
from azureml_tasks.engines.acr.task_file import value_name
from azureml_tasks.plain_text import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from azureml_tasks.planning.plan import Plan
    from azureml_tasks.project.model import BuildSecret

_FOLDER, _TASK_FILE = "context", "task.yaml"
WRITE_CONTEXT = "invoke image.context --engine acr | "
"""What writes the files that a remote build uploads, with those of its smoke test, to pipe into `unpack`."""


def unpack() -> list[str]:
    """Unpack the build context from standard input into a folder."""
    return ["tar", "--extract", f"--one-top-level={_FOLDER}"]


def build(plan: Plan, context_sha256: str) -> list[str]:
    """Run a quick build of the folder."""
    image = f"{candidate_repository(plan.repository)}:{RUN_ID}"
    argument = f"CONTEXT_SHA256={context_sha256}"
    words = ["az", "acr", "build", *_run_options(plan), "--image", image, "--build-arg", argument]
    return [*words, "--platform", plan.platform, _FOLDER]


def write_task() -> list[str]:
    """Write the task file, which is standard input, into the folder: `az acr run` takes it from there alone."""
    return ["tee", f"{_FOLDER}/{_TASK_FILE}"]


def run(plan: Plan) -> list[str]:
    """Run the task of the folder."""
    return ["az", "acr", "run", *_run_options(plan), "--file", _TASK_FILE, _FOLDER]


def secret_values(secrets: Iterable[BuildSecret]) -> str:
    """Return the options that give *secrets* to a run, as a shell reads them: no value is in this text.

    The values are escaped as `tasks_api.RunRequest.task` does.
    """
    return "".join(f' --set-secret {value_name(secret.id)}="$({_reading(secret)})"' for secret in secrets)


def _reading(secret: BuildSecret) -> str:
    read = f"printenv {secret.env}" if secret.env else f"cat {shell_join([secret.file])}"
    return rf"{read} | sed 's/[\\$`]/\\&/g; s/^E/$(:)E/' | base64 | tr -d '\n'"


def logs(plan: Plan, run: str) -> list[str]:
    """Show the log of a run until it ends."""
    return ["az", "acr", "task", "logs", *_registry(plan), "--run-id", run]


def copy(login_server: str, source: str, target: str, *, force: bool = True) -> list[str]:
    """Copy an image to another name in the same registry; without *force* a tag that exists does not move."""
    forced = ["--force"] if force else []
    return ["az", "acr", "import", "--name", login_server, "--source", source, "--image", target, *forced]


def delete(login_server: str, image: str) -> list[str]:
    """Delete an image by its digest."""
    return ["az", "acr", "repository", "delete", "--name", login_server, "--image", image, "--yes"]


def _run_options(plan: Plan) -> list[str]:
    acr = plan.acr or Acr()
    pool = ["--agent-pool", acr.agent_pool] if acr.agent_pool else []
    return [*_registry(plan), "--timeout", str(acr.timeout), *pool]


def _registry(plan: Plan) -> Sequence[str]:
    return ["--registry", plan.registry or "REGISTRY"]
