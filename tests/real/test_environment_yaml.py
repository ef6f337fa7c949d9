"""The YAML of `invoke image.environment`, loaded by azure-ai-ml, as `az ml … --file` does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.consumers import consumer, invoke, project
from tests.machine import azure_ml

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "contoso.azurecr.io/team/iris@sha256:" + "12345678901e" + "0" * 52
RECORD = {
    "image": IMAGE,
    "id": IMAGE.rpartition("@")[2],
    "tags": ["1.0.0"],
    "digest": IMAGE.rpartition("@")[2],
    "context_sha256": "0" * 64,
    "smoke": {"passed": True, "started": 200.4},
}
BAKED = """\
code = "code"
model = "model"
env = { WORKER_COUNT = "4" }
smoke-test = { requests = [{ body = 1, request-timeout = 30 }] }
"""
FILES = {"code/score.py": "def init(): ...\ndef run(data): ...\n", "model/weights": "1"}
DEPLOYMENT = ("--deployment", "--endpoint=scoring", "--instance-type=Standard_DS3_v2")
ENVIRONMENT_SENT = {
    "name": "team-iris",
    "version": "sha256-12345678901e",
    "properties": {
        "image": IMAGE,
        "description": "contoso.azurecr.io/team/iris:1.0.0",
        "osType": "linux",
        "isAnonymous": False,
        "isArchived": False,
        "inferenceConfig": {
            "livenessRoute": {"port": 5001, "path": "/"},
            "readinessRoute": {"port": 5001, "path": "/"},
            "scoringRoute": {"port": 5001, "path": "/score"},
        },
    },
}
DEPLOYMENT_SENT = {
    "name": "team-iris-12345678",
    "endpoint_name": "scoring",
    "location": "westeurope",
    "tags": {},
    "sku": {"name": "Default", "capacity": 1},
    "properties": {
        "environmentId": "team-iris:sha256-12345678901e",
        "instanceType": "Standard_DS3_v2",
        "endpointComputeType": "Managed",
        "requestSettings": {"maxConcurrentRequestsPerInstance": 4, "requestTimeout": "PT30S"},
        "livenessProbe": {"initialDelay": "PT6M41S"},
        "readinessProbe": {"failureThreshold": 41},
        "properties": {},
        "environmentVariables": {},
        "appInsightsEnabled": False,
    },
}
MOUNTED = {
    "model": "iris@latest",
    "codeConfiguration": {"codeId": "./code", "scoringScript": "score.py"},
    "environmentId": "iris:sha256-12345678901e",
    "requestSettings": {"maxConcurrentRequestsPerInstance": 1, "requestTimeout": "PT5S"},
}


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Load an environment, its deployment and a deployment that mounts model and code."""
    baked = write_project(tmp_path_factory.mktemp("baked"), BAKED, FILES)
    bare = write_project(tmp_path_factory.mktemp("bare"), "", {})
    files = [
        ("environment", write_yaml(baked, "environment.yml")),
        ("deployment", write_yaml(baked, "deployment.yml", *DEPLOYMENT)),
        ("deployment", write_yaml(bare, "deployment.yml", "--name=iris", *DEPLOYMENT)),
    ]
    return azure_ml.loaded(files)


def write_project(folder: Path, table: str, files: dict[str, str]) -> Path:
    """Write a project with a record of its last push."""
    folder = consumer(folder, files={**files, ".azureml-image/result.json": json.dumps(RECORD)})
    (folder / "pyproject.toml").write_text(project("iris", table), encoding="utf-8")
    return folder


def write_yaml(folder: Path, name: str, *flags: str) -> Path:
    """Write the file *name* by `invoke image.environment`."""
    ended = invoke(folder, "image.environment", f"--output={name}", *flags)
    assert (0, "") == (ended.code, ended.out), ended.err
    return folder / name


def test_an_environment(sent: list[dict[str, Any]]) -> None:
    """azure-ai-ml reads name, version, image and routes as they were written; the version stays a string."""
    assert sent[0] == ENVIRONMENT_SENT


def test_a_deployment(sent: list[dict[str, Any]]) -> None:
    """It refers to that environment, has a valid name, and mounts nothing."""
    assert sent[1] == DEPLOYMENT_SENT


def test_a_deployment_that_mounts_model_and_code(sent: list[dict[str, Any]]) -> None:
    """It mounts both if the image contains neither."""
    properties = {**DEPLOYMENT_SENT["properties"], **MOUNTED}  # type: ignore[dict-item]  # a JSON object, as written above

    assert sent[2] == {**DEPLOYMENT_SENT, "name": "iris-12345678", "properties": properties}
