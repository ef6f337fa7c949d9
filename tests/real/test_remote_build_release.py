"""A whole release, from the project to the digest in the registry."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping
from typing import Any

import docker
import pytest

from azureml_tasks.commands.publishing import kept_tag
from tests.real.remote_output import (
    ACR,
    CLOUD,
    HERE,
    LOOK,
    PARTS,
    PLACE,
    PLACES,
    PROBING,
    SMOKE_TEST,
    TASK,
    body,
)
from tests.real.remote_projects import CommandResult, RemoteProjects, normalize, run_command
from tests.real.support import tags_of


@pytest.fixture(scope="module")
def releases(shared_remote_projects: RemoteProjects, amlenv_base: str) -> Mapping[str, CommandResult]:
    """Release the example project with and without a local engine."""
    projects = {
        place: shared_remote_projects.example(amlenv_base, local=place == HERE) for place in (HERE, CLOUD)
    }
    return {
        place: run_command(shared_remote_projects.acr, project, "image.release", *ACR)
        for place, project in projects.items()
    }


@PLACE
def test_stdout_of_a_release(place: str, releases: Mapping[str, CommandResult]) -> None:
    """Stdout is the candidate, the report of the smoke test, and the image by the digest that the registry confirms."""
    result = releases[place]

    expected = f"""\
REGISTRY/NAME/candidate@sha256:ID
REGISTRY/NAME:1.0.0 passed its smoke test (sha256:ID, {PLACES[place]}).
    ready after N s
    sample-request.json: 200 in p50 N s, p95 N s of 10
    request 2: 200 in p50 N s, p95 N s of 10
    request 3: 400 in p50 N s, p95 N s of 10
    peak memory N MiB
REGISTRY/NAME@sha256:ID
"""
    assert (0, expected) == result.out, result.ended.stderr
    digest = result.tags["1.0.0"]
    name = f"{result.acr.login_server}/{result.project.folder.name}"
    lines = result.ended.stdout.splitlines()
    assert [f"{name}/candidate@{digest}", f"{name}@{digest}"] == [lines[0], lines[-1]]


@PLACE
def test_stderr_of_a_release(place: str, releases: Mapping[str, CommandResult]) -> None:
    """Stderr names the registry, the run and its duration, and the candidate."""
    result = releases[place]

    here = [
        "pulling REGISTRY/NAME/candidate@sha256:ID",
        "waiting for REGISTRY/NAME:1.0.0 to answer, 310 s at most",
    ]
    expected = [
        f"Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[place]}",
        "registry REGISTRY: RESOURCE",
        "build context: 7 files, SIZE, sha256 HASH",
        *LOOK,
        "run RUN: N s queued, N s running; pushed REGISTRY/NAME/candidate@sha256:ID",
        "built sha256:ID",
        *(here if place == HERE else []),
        "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID",
    ]
    assert expected == result.messages


@PLACE
def test_only_the_final_tag_is_left_in_the_registry(
    place: str, releases: Mapping[str, CommandResult]
) -> None:
    """The final manifest, with its two tags, is what the run has pushed; the repository of candidates is empty."""
    result = releases[place]
    name = result.project.folder.name

    images = result.the_run.output_images
    pushed = [image["digest"] for image in images if image["repository"] == f"{name}/candidate"]
    content = result.acr.manifest(name, "1.0.0")
    assert [f"sha256:{hashlib.sha256(content).hexdigest()}"] == pushed
    tags = dict.fromkeys(("1.0.0", kept_tag(pushed[0])), pushed[0])
    assert (tags, frozenset()) == (result.tags, result.candidates)
    with pytest.raises(LookupError):
        result.acr.manifest(f"{name}/candidate", pushed[0])


@PLACE
def test_nothing_is_left_on_the_local_engine(
    place: str, releases: Mapping[str, CommandResult], docker_client: docker.DockerClient
) -> None:
    """Neither the image nor a container of it is left on the local engine."""
    result = releases[place]

    image = json.loads(result.acr.manifest(result.project.folder.name, "1.0.0"))["config"]["digest"]
    names = [
        name
        for each in docker_client.api.images(all=True)
        for name in [*(each["RepoTags"] or []), *(each["RepoDigests"] or [])]
    ]
    assert [] == [name for name in names if result.project.folder.name in name]
    assert [] == docker_client.containers.list(all=True, filters={"ancestor": image})


@PLACE
def test_blobs_are_mounted(place: str, releases: Mapping[str, CommandResult]) -> None:
    """Each blob is mounted from the candidates for the first of two tags, and none is copied."""
    result = releases[place]
    name = result.project.folder.name

    manifest = json.loads(result.acr.manifest(name, "1.0.0"))
    blobs = dict.fromkeys(part["digest"] for part in (manifest["config"], *manifest["layers"]))
    asked = [
        (request.method, request.path, urllib.parse.parse_qs(request.query))
        for request in result.requests
        if request.path.startswith(f"/v2/{name}/blobs/")
    ]
    assert asked == [
        ("POST", f"/v2/{name}/blobs/uploads/", {"mount": [blob], "from": [f"{name}/candidate"]})
        for blob in blobs
    ]
    put = [
        request.path
        for request in result.requests
        if request.method == "PUT" and request.path.startswith(f"/v2/{name}/manifests")
    ]
    tags = (kept_tag(result.tags["1.0.0"]), "1.0.0")
    assert [f"/v2/{name}/manifests/{tag}" for tag in tags] == put


@pytest.mark.parametrize(("place", "task"), [(HERE, TASK.replace(PROBING, "")), (CLOUD, TASK)])
def test_a_task_pushes_cached_layers(place: str, task: str, releases: Mapping[str, CommandResult]) -> None:
    """A task pushes each cached layer; without a local engine it smoke-tests the image before it pushes it."""
    expected = {
        "type": "EncodedTaskRunRequest",
        "encodedTaskContent": task,
        "values": [],
        "platform": {"os": "Linux", "architecture": "amd64"},
        "sourceLocation": "the upload",
        "timeout": 3600,
    }
    assert expected == body(releases[place])


def plain(value: Any) -> Any:
    """Return a record with types instead of measured values."""
    if isinstance(value, dict):
        return {key: type(item).__name__ if key in MEASURED else plain(item) for key, item in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


MEASURED = {"seconds", "p50", "p95", "started", "stopped", "peak_memory", "times", "waits"}


def smoke(result: CommandResult, place: str) -> dict[str, Any]:
    """Return the recorded report of the example's smoke test."""
    names = ["start-up", "swagger.json", "sample-request.json", "request 2", "request 3", "malformed body"]
    asked = [("sample-request.json", 200), ("request 2", 200), ("request 3", 400)]
    return {
        "passed": True,
        "image": f"{result.acr.login_server}/{result.project.folder.name}:1.0.0",
        "image_id": result.tags["1.0.0"],
        "place": place,
        "checks": [{"name": name, "outcome": "passed", "details": [], "seconds": "float"} for name in names],
        "latencies": [
            {
                "name": name,
                "status": status,
                "p50": "float",
                "p95": "float",
                "repeats": 10,
                "same": True,
                "times": "list",
            }
            for name, status in asked
        ],
        "started": "float",
        "stopped": "float",
        "waits": "list",
        "peak_memory": "int",
        "warnings": [],
        "exit_code": None,
        "proven": "requests",
    }


@PLACE
def test_records_of_a_release(place: str, releases: Mapping[str, CommandResult]) -> None:
    """The records contain engine, run and digest, no candidate, and the same report for both places."""
    result = releases[place]
    digest, name = result.tags["1.0.0"], f"{result.acr.login_server}/{result.project.folder.name}"
    records = dict(result.records)

    where = records["result.json"]["smoke"]["place"]
    assert PLACES[place] == normalize(
        re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", where), result.project, result.acr
    )
    context = records["build.json"]["context_sha256"]
    smoke_test = records["smoke-test.json"]["smoke_test_sha256"]
    assert (digest, smoke_test) == (
        digest,
        records.pop("probe-events.json", {"smoke_test_sha256": smoke_test})["smoke_test_sha256"],
    )
    images = [image for image in result.the_run.output_images if image["repository"].endswith("/layers")]
    prefixes = [f"{name}/layers@{image['digest']}" for image in images]
    assert 3 == len(prefixes)
    expected = {
        "build.json": {
            "engine": "acr",
            "id": digest,
            "names": [f"{name}:1.0.0"],
            "tags": ["1.0.0"],
            "context_sha256": context,
            "user": "dockeruser",
            "candidate": "",
            "run": result.the_run.id,
            "waiting": [],
            "version": "1.0.0",
            "cached_layers": prefixes,
        },
        "result.json": {
            "image": f"{name}@{digest}",
            "id": digest,
            "tags": ["1.0.0"],
            "digest": digest,
            "context_sha256": context,
            "cached_layers": prefixes,
            "smoke": smoke(result, where),
        },
        "smoke-test.json": {"id": digest, "smoke_test_sha256": smoke_test, "smoke": smoke(result, where)},
    }
    recorded = {record: plain(value) for record, value in records.items()}
    inputs = (
        list(recorded["build.json"].pop("fingerprint_parts")),
        recorded["build.json"].pop("installed_at") > 0,
    )
    assert (PARTS, True) == inputs
    assert expected == recorded


@PLACE
def test_where_tokens_are_sent(place: str, releases: Mapping[str, CommandResult]) -> None:
    """Azure's token is sent to Azure Resource Manager and to the login server, which alone gets the registry's."""
    result = releases[place]

    signed = {(request.endpoint, request.audience) for request in result.requests if request.bearer}
    assert {("arm", result.acr.resource_manager), ("registry", result.acr.login_server)} == signed
    assert {"registry"} == {request.endpoint for request in result.requests if request.basic}
    assert {("registry", "/oauth2/exchange")} == {
        (request.endpoint, request.path) for request in result.requests if request.path.endswith("/exchange")
    }
    assert {"aad", "arm", "registry", "storage"} == {request.endpoint for request in result.requests}


SERVE = """\
import azureml_tasks
with azureml_tasks.serving(engine="acr") as server:
    print(server.image.rpartition("/")[2], server.post(json={"flowers": []}).status_code)
"""


def test_a_released_image_serves_here(
    releases: Mapping[str, CommandResult], docker_client: docker.DockerClient
) -> None:
    """It has passed, so it is pulled and asked; afterwards the local engine does not have it any more."""
    project = releases[HERE].project
    completed = subprocess.run(
        [sys.executable, "-c", SERVE],
        cwd=project.folder,
        env=project.env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, f"{project.folder.name}:1.0.0 400\n") == (completed.returncode, completed.stdout), (
        completed.stderr
    )
    assert [] == tags_of(docker_client, project.folder.name)
