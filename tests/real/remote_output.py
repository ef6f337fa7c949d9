"""Expected requests and output of remote builds."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.real.remote_projects import CommandResult, normalize

__all__ = [
    "ACR",
    "BUILT",
    "CLOUD",
    "ENGINE",
    "FOUND",
    "HERE",
    "IN_THE_CLOUD",
    "LOOK",
    "PARTS",
    "PLACE",
    "PLACES",
    "PROBING",
    "REQUEST",
    "SECONDS",
    "SMOKE_TEST",
    "TASK",
    "body",
    "quick_build",
]

SECONDS = 300.0
"""How long a test waits at most."""
HERE, CLOUD = "here", "in the cloud"
ACR = ("--engine", "acr")
PLACES = {HERE: "through 127.0.0.1:PORT", CLOUD: "in the cloud, by run RUN"}
SMOKE_TEST = {
    HERE: "smoke test on the local engine at ENGINE",
    CLOUD: "smoke test in the cloud, because no local engine answers",
}
LOOK = [
    "run RUN is STATUS; to look at it:",
    "    https://portal.azure.com/#resourceRESOURCE, Services, Tasks, Runs, RUN",
    "    az acr task logs --registry loopbackregistry --run-id RUN",
]
PARTS = ["version", "platform", "base", "system", "python", "model", "code", "labels"]
"""The inputs of an image, of which its record has hashes."""
REQUEST = """
[[tool.azureml-image.smoke-test.requests]]
body = { a = 1 }
"""
PLACE = pytest.mark.parametrize("place", [HERE, CLOUD])
TASK = """\
version: v1.1.0
stepTimeout: 3600
steps:
  - id: "build-system"
    build: "-f Dockerfile.system -t REGISTRY/NAME/layers:HASH --platform linux/amd64 ."
  - id: "push-system"
    push:
      - "REGISTRY/NAME/layers:HASH"
  - id: "build-python"
    build: "-f Dockerfile.python -t REGISTRY/NAME/layers:HASH --platform linux/amd64 ."
  - id: "push-python"
    push:
      - "REGISTRY/NAME/layers:HASH"
  - id: "build-model"
    build: "-f Dockerfile.model -t REGISTRY/NAME/layers:HASH --platform linux/amd64 ."
  - id: "push-model"
    push:
      - "REGISTRY/NAME/layers:HASH"
  - id: "build"
    build: "-f Dockerfile -t REGISTRY/NAME/candidate:{{.Run.ID}} --platform linux/amd64 \
--build-arg CONTEXT_SHA256=HASH ."
  - id: "server"
    cmd: "REGISTRY/NAME/candidate:{{.Run.ID}}"
    detach: true
    keep: true
    disableWorkingDirectoryOverride: true
    env:
      - "HOME=/home/dockeruser"
  - id: "smoke-test"
    cmd: "REGISTRY/NAME/candidate:{{.Run.ID}} /bin/sh /workspace/.azureml-image/probe.sh"
    user: "root"
    disableWorkingDirectoryOverride: true
  - id: "push"
    push:
      - "REGISTRY/NAME/candidate:{{.Run.ID}}"
"""
PROBING = TASK[TASK.index('  - id: "server"') : TASK.index('  - id: "push"\n')]


def body(result: CommandResult) -> dict[str, Any]:
    """Return the body of `scheduleRun` with its task decoded and its source checked against the upload."""
    content = dict(result.the_run.request)
    uploads = {
        request.path
        for request in result.requests
        if request.endpoint == "storage" and request.method == "PUT"
    }
    assert any(path.endswith(f"/{content['sourceLocation']}") for path in uploads)
    content["sourceLocation"] = "the upload"
    if "encodedTaskContent" in content:
        text = base64.b64decode(content["encodedTaskContent"]).decode()
        content["encodedTaskContent"] = normalize(text, result.project, result.acr)
    return content


def quick_build(name: str, context: str) -> dict[str, Any]:
    """Return the expected request of a quick build."""
    return {
        "type": "DockerBuildRequest",
        "imageNames": [f"{name}/candidate:{{{{.Run.ID}}}}"],
        "isPushEnabled": True,
        "noCache": False,
        "dockerFilePath": "Dockerfile",
        "arguments": [{"name": "CONTEXT_SHA256", "value": context, "isSecret": False}],
        "platform": {"os": "Linux", "architecture": "amd64"},
        "sourceLocation": "the upload",
        "timeout": 3600,
    }


ENGINE = f"Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[HERE]}"
IN_THE_CLOUD = f"Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[CLOUD]}"
FOUND = "registry REGISTRY: RESOURCE"
BUILT = "run RUN: N s queued, N s running; pushed REGISTRY/NAME/candidate@sha256:ID"
