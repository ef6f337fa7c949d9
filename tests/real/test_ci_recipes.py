"""The recipes of docs/ci.md with our action and our template, run on this machine: bash, an engine and a registry.

What is not here stands aside: actions and tasks of others, and `az`, whose calls are recorded.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomli
import yaml

from tests.ci_systems import PIPELINE, AzureRun, GithubRun
from tests.documentation import ROOT, quick_start
from tests.real.support import environment_of, removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry


@pytest.fixture(scope="module")
def folder(
    docker_client: docker.DockerClient, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Return the quick start of the README under a name that no other module has; both systems build it once."""
    adder = quick_start(tmp_path_factory.mktemp("checkout") / "adder")
    table = adder / "pyproject.toml"
    table.write_text(
        table.read_text(encoding="utf-8").replace('"adder"', f'"{unique("recipe")}"'), encoding="utf-8"
    )
    with removed_after(docker_client, f"{image_of(adder, registry)}:1.0.0"):
        yield adder


@pytest.fixture(scope="module")
def temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a CI machine for what a job keeps, with the environment that the first job installs."""
    return tmp_path_factory.mktemp("temp")


@pytest.fixture
def env(clients: Mapping[str, Client], amlenv_base: str, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a CI machine: our Python as its own, `az` that only records, the base of the tests."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "python3": f'exec {shlex.quote(sys.executable)} "$@"',
        "az": f'echo "$@" >> {shlex.quote(str(tmp_path))}/az.txt',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    settings = environment_of(clients["26.1-buildx"], tmp_path)
    return {
        **settings,
        "PATH": f"{programs}{os.pathsep}{settings['PATH']}",
        "INVOKE_AZUREML_IMAGE_BASE": amlenv_base,
    }


def image_of(folder: Path, registry: Registry) -> str:
    """Return the reference that the project in *folder* is pushed as, without its tag."""
    name = tomli.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    return f"{registry.host}/{name}"


def test_github(folder: Path, temp: Path, env: Mapping[str, str], registry: Registry, tmp_path: Path) -> None:
    """Our action tests a pull request and releases a push: outputs, environment, report and the job's summary."""
    image = image_of(folder, registry)
    inputs = {"allowed_registries": registry.host, "registry": registry.host}
    tested = GithubRun(folder=folder, env=env, temp=temp, event="pull_request", ref="refs/pull/1/merge")
    tested.action(**inputs)
    released = GithubRun(
        folder=folder, env=env, temp=temp, event="push", ref="refs/heads/main", installed=True
    )
    outputs = released.action(**inputs, release="true", client_id="client")

    assert [] == [step for run in (tested, released) for step in run.steps if step.code]
    assert outputs["image"] == f"{image}@{outputs['digest']}"
    assert (
        yaml.safe_load((folder / "environment.yml").read_text(encoding="utf-8"))["image"] == outputs["image"]
    )
    assert (folder / "smoke-test.xml").is_file()
    assert (tmp_path / "az.txt").read_text(encoding="utf-8") == "acr login --name 127\n"
    summary = (temp / "summary.md").read_text(encoding="utf-8")
    headings = re.findall("^### (.*)", summary, re.MULTILINE)
    assert headings == [
        f"{image}:1.0.0 {state}" for state in ("is built", "passed its smoke test", "is pushed")
    ]
    assert f"| digest | {outputs['digest']} |" in summary


def test_azure_pipelines(folder: Path, temp: Path, env: Mapping[str, str], registry: Registry) -> None:
    """Our template releases the main branch, and a later step uses the output variable."""
    image = image_of(folder, registry)
    variables = {
        "Build.Reason": "IndividualCI",
        "Build.SourceBranch": "refs/heads/main",
        "AZUREML_TASKS": ROOT.as_uri(),
    }
    run = AzureRun(folder=folder, env=env, temp=temp, variables=variables)
    template, *others = PIPELINE["steps"]
    parameters = {"allowedRegistries": registry.host, "registry": registry.host}
    template = {**template, "parameters": {**template["parameters"], **parameters}}
    (folder / "environment.yml").unlink(missing_ok=True)
    run.run([template, *others])

    assert [] == [step for step in run.steps if step.code]
    assert f"Pushed {image}@sha256:" in run.steps[-2].out
    (uploaded,) = re.findall(r"^##vso\[task\.uploadsummary\](.*)$", run.steps[1].err, re.MULTILINE)
    assert f"### {image}:1.0.0 is pushed\n" in Path(uploaded).read_text(encoding="utf-8")
    assert (folder / "environment.yml").is_file()
