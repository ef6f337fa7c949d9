"""The commands that --dry and --echo show."""

from __future__ import annotations

import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.config.settings import Acr
from azureml_tasks.engines.acr import az_commands
from azureml_tasks.engines.acr.smoke_test import smoke_test_task
from azureml_tasks.engines.acr.tasks_api import RunRequest
from azureml_tasks.project.model import BuildSecret
from tests.acr_plans import plan
from tests.consumers import consumer, invoke, project

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize(
    "text", ["machine a login b password c\n", "Ein\nEOL\n$HOME `id` \\n \\\\ $$(id) é\n", "no line end"]
)
def test_a_shell_gives_a_run_the_same_secrets(text: str, tmp_path: Path) -> None:
    """The command that is shown has no value; a shell reads the files and variables, and escapes as we do."""
    file = tmp_path / "a netrc"
    file.write_text(text, encoding="utf-8")
    secrets = [
        BuildSecret(id="netrc", variable="NETRC", file=str(file)),
        BuildSecret(id="pip-conf", variable="PIP_CONFIG_FILE", env="CONF"),
    ]
    words = az_commands.secret_values(secrets)

    ended = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {words}"],
        env={**os.environ, "CONF": text.rstrip("\n")},
        capture_output=True,
        text=True,
        check=True,
    )

    request = RunRequest(acr=Acr(), platform="linux/amd64", source="s", abac=False)
    contents = {"netrc": text.encode(), "pip-conf": (text.rstrip("\n") + "\n").encode()}
    values = request.task(smoke_test_task(plan(), "image", SHA256), contents)["values"]
    expected = [word for value in values for word in ("--set-secret", f"{value['name']}={value['value']}")]
    assert expected == ended.stdout.splitlines()
    assert text.splitlines()[0] not in words


def test_the_context_of_a_remote_build_leaves_its_secrets_out(tmp_path: Path) -> None:
    """`image.context --engine acr` writes the file that keeps the secrets out of every `docker build` of a run."""
    table = 'pip = ["alpha"]\nregistry = "contoso.azurecr.io"\n'
    has_ignore_file = {}
    for name, more in {"with": 'secrets = ["netrc"]\n', "without": ""}.items():
        folder = consumer(tmp_path / name, files={"pyproject.toml": project("demo", table + more)})
        ended = invoke(folder, "image.context", "--engine", "acr", "--output", "context.tar")
        assert ended.code == 0, ended.err
        with tarfile.open(folder / "context.tar") as archive:
            has_ignore_file[name] = ".dockerignore" in archive.getnames()

    assert {"with": True, "without": False} == has_ignore_file
