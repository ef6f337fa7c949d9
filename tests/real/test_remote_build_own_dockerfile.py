"""A Dockerfile of the project's own, built in ACR."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import requests

from tests.documentation import blocks
from tests.real.own_dockerfile import PAGE, example
from tests.real.pushed import ACCEPT
from tests.real.remote_output import ACR
from tests.real.remote_projects import RemoteProjects, run_command
from tests.real.support import consumer, unique

if TYPE_CHECKING:
    from tests.machine.acr.loopback import Acr


def test_a_remote_build(remote_projects: RemoteProjects, amlenv_base: str) -> None:
    """ACR builds it with BuildKit, proves it in the cloud on its own port, and gives it its tags."""
    acr, name = remote_projects.acr, unique("own-remote")
    text = blocks(PAGE, "dockerfile")[0].replace("RUN python", "RUN --mount=type=tmpfs,target=/t python")
    more = f'registry = "{acr.login_server}"\nlabels = {{ team = "a \\"b\\" $c" }}'
    files = example(name, amlenv_base, more=more, dockerfile=text)
    written = consumer(remote_projects.folder / name, {**files, ".dockerignore": "tasks.py\nDockerfile\n"})
    project = remote_projects.here(written, local=False)

    result = run_command(acr, project, "image.release", *ACR)

    assert result.ended.code == 0, result.ended.stderr
    digest = result.tags["1.0"]
    assert f"{acr.login_server}/{name}@{digest}" == result.ended.stdout.splitlines()[-1]
    record = result.records["build.json"]
    assert ("dockeruser", digest) == (record["user"], record["id"])
    smoke = result.records["result.json"]["smoke"]
    assert ["start-up", "request 1", "malformed body"] == [check["name"] for check in smoke["checks"]]
    labels = labels_of(acr, name, digest)
    assert (name, 'a "b" $c') == (labels["org.opencontainers.image.title"], labels["team"])
    assert labels["azureml-tasks.context-sha256"] == record["context_sha256"]
    assert b"DOCKER_BUILDKIT=1" in base64.b64decode(result.the_run.request["encodedTaskContent"])


def labels_of(acr: Acr, repository: str, digest: str) -> dict[str, str]:
    """Return the labels of an image in the registry."""
    access = [{"type": "repository", "name": repository, "actions": ["pull"]}]
    token = acr.contents.plane.access_token("loopback", access, seconds=300)
    url = f"http://{acr.contents.plane.upstream}/v2/{repository}"
    headers = {"Authorization": f"Bearer {token}", "Accept": ACCEPT}
    with requests.Session() as session:
        session.trust_env = False
        manifest = session.get(f"{url}/manifests/{digest}", headers=headers).json()
        config = session.get(f"{url}/blobs/{manifest['config']['digest']}", headers=headers).json()
    labels: dict[str, str] = config["config"]["Labels"]
    return labels
