"""The commands that --dry and --echo show."""

from __future__ import annotations

import pytest

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr import az_commands
from tests.acr_plans import plan

CANDIDATE = "team/scoring/candidate"
SHA256 = "2" * 64
REGISTRY = ("--registry", "contoso.azurecr.io")
POOL = Acr(agent_pool="large", timeout=600)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (["tar", "--extract", "--one-top-level=context"], az_commands.unpack()),
        (
            [
                *("az", "acr", "build", *REGISTRY, "--timeout", "3600"),
                *("--image", "team/scoring/candidate:{{.Run.ID}}", "--build-arg", f"CONTEXT_SHA256={SHA256}"),
                *("--platform", "linux/amd64", "context"),
            ],
            az_commands.build(plan(), SHA256),
        ),
        (
            [
                *("az", "acr", "build", *REGISTRY, "--timeout", "600", "--agent-pool", "large"),
                *("--image", "team/scoring/candidate:{{.Run.ID}}", "--build-arg", f"CONTEXT_SHA256={SHA256}"),
                *("--platform", "linux/arm64/v8", "context"),
            ],
            az_commands.build(plan(acr=POOL, platform="linux/arm64/v8"), SHA256),
        ),
        (["tee", "context/task.yaml"], az_commands.write_task()),
        (
            ["az", "acr", "run", *REGISTRY, "--timeout", "3600", "--file", "task.yaml", "context"],
            az_commands.run(plan()),
        ),
        (
            [
                *("az", "acr", "run", *REGISTRY, "--timeout", "600", "--agent-pool", "large"),
                *("--file", "task.yaml", "context"),
            ],
            az_commands.run(plan(acr=POOL)),
        ),
        (
            ["az", "acr", "task", "logs", *REGISTRY, "--run-id", "ca8"],
            az_commands.logs(plan(), "ca8"),
        ),
        (
            ["az", "acr", "task", "logs", "--registry", "REGISTRY", "--run-id", "ca8"],
            az_commands.logs(plan(registry=""), "ca8"),
        ),
        (
            [
                *("az", "acr", "import", "--name", "contoso.azurecr.io"),
                *("--source", f"contoso.azurecr.io/{CANDIDATE}@sha256:1", "--image", "team/scoring:1.0"),
                "--force",
            ],
            az_commands.copy(
                "contoso.azurecr.io", f"contoso.azurecr.io/{CANDIDATE}@sha256:1", "team/scoring:1.0"
            ),
        ),
        (
            [
                *("az", "acr", "repository", "delete", "--name", "contoso.azurecr.io"),
                *("--image", f"{CANDIDATE}@sha256:1", "--yes"),
            ],
            az_commands.delete("contoso.azurecr.io", f"{CANDIDATE}@sha256:1"),
        ),
    ],
    ids=[
        *(
            "unpack",
            "build",
            "build in a pool",
            "task file",
            "run",
            "run in a pool",
            "logs",
            "logs of a workspace's registry",
        ),
        *("copy", "delete"),
    ],
)
def test_the_whole_command(expected: list[str], actual: list[str]) -> None:
    """Each effect is one command of the Azure CLI or of tar."""
    assert expected == actual
