"""The CI recipes of `docs/ci.md`, run on this machine: bash, a fresh environment, an engine and a registry.

What is not here stands aside: actions and tasks of the CI systems, and `az`, whose calls are recorded.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import tomli
import yaml

from tests.documentation import ROOT, quick_start
from tests.real.support import environment_of, removed_after, unique
from tests.recipes import github_scripts, pipeline_scripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the quick start of the README under a name that no other test has."""
    made = quick_start(tmp_path / "adder")
    table = made / "pyproject.toml"
    table.write_text(
        table.read_text(encoding="utf-8").replace('"adder"', f'"{unique("recipe")}"'), encoding="utf-8"
    )
    return made


@pytest.fixture
def env(
    clients: Mapping[str, Client], amlenv_base: str, registry: Registry, tmp_path: Path
) -> dict[str, str]:
    """Return the environment of a CI machine: a Python of its own, `az` that only records, outputs in files."""
    python = tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", str(python)], check=True)
    az = python / "bin" / "az"
    az.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/az.txt\n', encoding="utf-8")
    az.chmod(0o755)
    settings = environment_of(clients["26.1-buildx"], tmp_path)
    return {
        **settings,
        "PATH": f"{python}/bin{os.pathsep}{settings['PATH']}",
        "AZUREML_TASKS": ROOT.as_uri(),
        "INVOKE_AZUREML_IMAGE_BASE": amlenv_base,
        "INVOKE_AZUREML_IMAGE_REGISTRY": registry.host,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "IMAGE": "what the step before has set",
    }


def image_of(folder: Path, registry: Registry) -> str:
    """Return the reference that the project in *folder* is pushed as, without its tag."""
    name = tomli.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    return f"{registry.host}/{name}"


def ran(scripts: Sequence[str], folder: Path, env: Mapping[str, str]) -> str:
    """Run each script as a CI system does, by bash that ends at the first error; return what they printed."""
    out = ""
    for text in scripts:
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
        done = subprocess.run(words, cwd=folder, env=dict(env), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        out += done.stdout
    return out


def test_github(
    folder: Path,
    env: Mapping[str, str],
    registry: Registry,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """Both jobs run to their end; the release sets the step's outputs and leaves environment and report."""
    image, outputs = image_of(folder, registry), tmp_path / "outputs"
    with removed_after(docker_client, f"{image}:1.0.0"):
        ran(github_scripts("test"), folder, env)
        ran(github_scripts("release"), folder, {**env, "GITHUB_OUTPUT": str(outputs)})

    assert outputs.read_text(encoding="utf-8").startswith(f"image={image}@sha256:")
    assert yaml.safe_load((folder / "environment.yml").read_text(encoding="utf-8"))["image"].startswith(image)
    assert (folder / "smoke-test.xml").is_file()
    assert (tmp_path / "az.txt").read_text(encoding="utf-8") == "acr login --name contoso\n"
    assert "what the step before has set" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_azure_pipelines(
    folder: Path, env: Mapping[str, str], registry: Registry, docker_client: docker.DockerClient
) -> None:
    """The pipeline runs to its end, and the release sets its output variables."""
    image = image_of(folder, registry)
    with removed_after(docker_client, f"{image}:1.0.0"):
        out = ran(pipeline_scripts(), folder, {**env, "TF_BUILD": "True"})

    assert f"##vso[task.setvariable variable=image;isOutput=true]{image}@sha256:" in out
    assert (folder / "environment.yml").is_file()
