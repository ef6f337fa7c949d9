"""A build that is handed off, on every path from the command to a digest in the registry, as a person runs it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import signal
import urllib.parse
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.pull import pulled_image
from tests.machine import registry as plain_registry
from tests.machine.acr.faults import Hold, Reply
from tests.real.hand_off import HandedOff, Step, begun, copied, ended, said, step
from tests.real.offering import installed
from tests.real.private_index import Private, layers, serving, showing
from tests.real.support import Consumer, Ended, unique
from tests.real.test_push import digest_of

SECONDS = 120.0
"""How long a test waits for what must come."""
HERE, CLOUD = "here", "in the cloud"
ACR = ("--engine", "acr")
PLACES = {HERE: "through 127.0.0.1:PORT", CLOUD: "in the cloud, by run RUN"}
SMOKE_TEST = {
    HERE: "smoke test on the local engine at ENGINE",
    CLOUD: "smoke test in the cloud, because no local engine answers",
}
DELETES, KEEPS = frozenset({"pull", "push", "delete"}), frozenset({"pull", "push"})
LOOK = [
    "run RUN is STATUS; to look at it:",
    "    https://portal.azure.com/#resourceRESOURCE, Services, Tasks, Runs, RUN",
    "    az acr task logs --registry loopbackregistry --run-id RUN",
]
REQUEST = """
[[tool.azureml-image.smoke-test.requests]]
body = { a = 1 }
"""


# A release


@pytest.fixture(scope="module")
def releases(handed_off_session: HandedOff, amlenv_base: str) -> Mapping[str, Step]:
    """The example project as it stands, released with an engine here that smoke-tests, and with none."""
    projects = {
        place: handed_off_session.example(amlenv_base, local=place == HERE) for place in (HERE, CLOUD)
    }
    return {
        place: step(handed_off_session.acr, project, "image.release", *ACR)
        for place, project in projects.items()
    }


PLACE = pytest.mark.parametrize("place", [HERE, CLOUD])


@PLACE
def test_a_release_says_the_candidate_the_report_and_the_reference(
    place: str, releases: Mapping[str, Step]
) -> None:
    """Stdout is the candidate, the report of the smoke test, and the image by the digest that the registry confirms."""
    done = releases[place]

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
    assert (0, expected) == done.out, done.ended.stderr
    digest = done.tags["1.0.0"]
    name = f"{done.acr.login_server}/{done.project.folder.name}"
    lines = done.ended.stdout.splitlines()
    assert [f"{name}/candidate@{digest}", f"{name}@{digest}"] == [lines[0], lines[-1]]


@PLACE
def test_a_release_tells_its_way(place: str, releases: Mapping[str, Step]) -> None:
    """Stderr names registry, run, how to look at it and how long it took, and the candidate's coming and going."""
    done = releases[place]

    here = [
        "pulling REGISTRY/NAME/candidate@sha256:ID",
        "waiting for REGISTRY/NAME:1.0.0 to answer, 310 s at most",
    ]
    expected = [
        f"Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[place]}",
        "build context: 5 files, N MB, sha256 HASH",
        "registry REGISTRY: RESOURCE",
        *LOOK,
        "run RUN: N s queued, N s running; pushed REGISTRY/NAME/candidate@sha256:ID",
        "built sha256:ID",
        *(here if place == HERE else []),
        "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID",
    ]
    assert expected == done.told


@PLACE
def test_a_release_leaves_the_final_tag_alone_in_the_registry(
    place: str, releases: Mapping[str, Step]
) -> None:
    """The final manifest has the bytes that the run has pushed; the candidates' repository is empty."""
    done = releases[place]
    name = done.project.folder.name

    images = done.the_run.output_images
    pushed = [image["digest"] for image in images if image["repository"] == f"{name}/candidate"]
    content = done.acr.manifest(name, "1.0.0")
    assert [f"sha256:{hashlib.sha256(content).hexdigest()}"] == pushed
    assert ({"1.0.0": pushed[0]}, frozenset()) == (done.tags, done.waiting)
    with pytest.raises(LookupError):
        done.acr.manifest(f"{name}/candidate", pushed[0])


@PLACE
def test_a_release_leaves_nothing_on_the_engine(
    place: str, releases: Mapping[str, Step], docker_client: docker.DockerClient
) -> None:
    """No name of the image and no container of it is on the engine that has smoke-tested it."""
    done = releases[place]

    image = json.loads(done.acr.manifest(done.project.folder.name, "1.0.0"))["config"]["digest"]
    names = [
        name
        for each in docker_client.api.images(all=True)
        for name in [*(each["RepoTags"] or []), *(each["RepoDigests"] or [])]
    ]
    assert [] == [name for name in names if done.project.folder.name in name]
    assert [] == docker_client.containers.list(all=True, filters={"ancestor": image})


@PLACE
def test_blobs_are_mounted_and_never_moved(place: str, releases: Mapping[str, Step]) -> None:
    """Of the final repository's blobs each is asked for by one mount from the candidates, and nothing else."""
    done = releases[place]
    name = done.project.folder.name

    manifest = json.loads(done.acr.manifest(name, "1.0.0"))
    blobs = dict.fromkeys(part["digest"] for part in (manifest["config"], *manifest["layers"]))
    asked = [
        (one.method, one.path, urllib.parse.parse_qs(one.query))
        for one in done.requests
        if one.path.startswith(f"/v2/{name}/blobs/")
    ]
    assert asked == [
        ("POST", f"/v2/{name}/blobs/uploads/", {"mount": [blob], "from": [f"{name}/candidate"]})
        for blob in blobs
    ]
    put = [
        one.path
        for one in done.requests
        if one.method == "PUT" and one.path.startswith(f"/v2/{name}/manifests")
    ]
    assert [f"/v2/{name}/manifests/1.0.0"] == put


Walk = Mapping[str, Step]

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


def body(done: Step) -> dict[str, Any]:
    """The body of `scheduleRun`, its task readable and its source by whether it is what was uploaded."""
    found = dict(done.the_run.request)
    uploads = {one.path for one in done.requests if one.front == "storage" and one.method == "PUT"}
    assert any(path.endswith(f"/{found['sourceLocation']}") for path in uploads)
    found["sourceLocation"] = "what was uploaded"
    if "encodedTaskContent" in found:
        text = base64.b64decode(found["encodedTaskContent"]).decode()
        found["encodedTaskContent"] = said(text, done.project, done.acr)
    return found


def quick_build(name: str, context: str) -> dict[str, Any]:
    """What a quick build is asked for with."""
    return {
        "type": "DockerBuildRequest",
        "imageNames": [f"{name}/candidate:{{{{.Run.ID}}}}"],
        "isPushEnabled": True,
        "noCache": False,
        "dockerFilePath": "Dockerfile",
        "arguments": [{"name": "CONTEXT_SHA256", "value": context, "isSecret": False}],
        "platform": {"os": "Linux", "architecture": "amd64"},
        "sourceLocation": "what was uploaded",
        "timeout": 3600,
    }


def test_an_engine_here_takes_a_quick_build(walks: Mapping[str, Walk]) -> None:
    """Where an engine here smoke-tests, and nothing slow stands below the code, the run is one build."""
    done = walks[HERE]["build"]

    context = done.records["build.json"]["context_sha256"]
    assert quick_build(done.project.folder.name, context) == body(done)


@pytest.mark.parametrize(("place", "task"), [(HERE, TASK.replace(PROBING, "")), (CLOUD, TASK)])
def test_a_task_keeps_what_stands_below_the_code(place: str, task: str, releases: Mapping[str, Step]) -> None:
    """Else it is a task that pushes each prefix; without a local engine it smoke-tests before it pushes the image."""
    expected = {
        "type": "EncodedTaskRunRequest",
        "encodedTaskContent": task,
        "values": [],
        "platform": {"os": "Linux", "architecture": "amd64"},
        "sourceLocation": "what was uploaded",
        "timeout": 3600,
    }
    assert expected == body(releases[place])


def plain(value: Any) -> Any:
    """A record without its times, and with a word for how much memory there was."""
    if isinstance(value, dict):
        return {
            key: type(found).__name__ if key in MEASURED else plain(found) for key, found in value.items()
        }
    return [plain(each) for each in value] if isinstance(value, list) else value


MEASURED = {"seconds", "p50", "p95", "started", "peak_memory"}


def smoke(done: Step, place: str) -> dict[str, Any]:
    """The report of the example's smoke test in a record."""
    names = ["start-up", "swagger.json", "sample-request.json", "request 2", "request 3", "malformed body"]
    asked = [("sample-request.json", 200), ("request 2", 200), ("request 3", 400)]
    return {
        "passed": True,
        "image": f"{done.acr.login_server}/{done.project.folder.name}:1.0.0",
        "image_id": done.tags["1.0.0"],
        "place": place,
        "checks": [{"name": name, "outcome": "passed", "details": [], "seconds": "float"} for name in names],
        "latencies": [
            {"name": name, "status": status, "p50": "float", "p95": "float", "repeats": 10, "same": True}
            for name, status in asked
        ],
        "started": "float",
        "peak_memory": "int",
        "warnings": [],
        "exit_code": None,
    }


@PLACE
def test_a_release_records_all_that_it_did(place: str, releases: Mapping[str, Step]) -> None:
    """The records name engine, run and digest; no candidate waits, and both smoke tests tell the same."""
    done = releases[place]
    digest, name = done.tags["1.0.0"], f"{done.acr.login_server}/{done.project.folder.name}"
    found = dict(done.records)

    where = found["result.json"]["smoke"]["place"]
    assert PLACES[place] == said(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", where), done.project, done.acr)
    context = found["build.json"]["context_sha256"]
    smoke_test = found["smoke-test.json"]["smoke_test_sha256"]
    assert (digest, smoke_test) == (
        digest,
        found.pop("probe-events.json", {"smoke_test_sha256": smoke_test})["smoke_test_sha256"],
    )
    images = [image for image in done.the_run.output_images if image["repository"].endswith("/layers")]
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
            "run": done.the_run.id,
            "waiting": [],
            "cached_layers": prefixes,
        },
        "result.json": {
            "image": f"{name}@{digest}",
            "id": digest,
            "tags": ["1.0.0"],
            "digest": digest,
            "context_sha256": context,
            "cached_layers": prefixes,
            "smoke": smoke(done, where),
        },
        "smoke-test.json": {"id": digest, "smoke_test_sha256": smoke_test, "smoke": smoke(done, where)},
    }
    assert expected == {record: plain(value) for record, value in found.items()}


@PLACE
def test_tokens_go_where_they_belong(place: str, releases: Mapping[str, Step]) -> None:
    """Azure's token goes to Resource Manager and for exchange to the login server, which alone gets its own."""
    done = releases[place]

    signed = {(one.front, one.audience) for one in done.requests if one.bearer}
    assert {("arm", done.acr.resource_manager), ("registry", done.acr.login_server)} == signed
    assert {"registry"} == {one.front for one in done.requests if one.basic}
    assert {("registry", "/oauth2/exchange")} == {
        (one.front, one.path) for one in done.requests if one.path.endswith("/exchange")
    }
    assert {"aad", "arm", "registry", "storage"} == {one.front for one in done.requests}


# Step by step


@pytest.fixture(scope="module")
def walks(
    handed_off_session: HandedOff,
    amlenv_base: str,
    registry: plain_registry.Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Walk]:
    """A project step by step in each place, both at once, since each waits for its agent most of the time."""
    with ThreadPoolExecutor() as lanes:
        here = lanes.submit(walk_here, handed_off_session, amlenv_base, registry.host)
        cloud = lanes.submit(
            walk_in_the_cloud, handed_off_session, amlenv_base, tmp_path_factory.mktemp("ci")
        )
        return {HERE: here.result(), CLOUD: cloud.result()}


def walk_here(write: HandedOff, base: str, elsewhere: str) -> Walk:
    """Build, smoke-test and push with an engine here, and what must not work in between."""
    project = write(base, REQUEST)
    commands = {
        "build": ("--echo", "image.build", *ACR),
        "push before it": ("image.push", *ACR),
        "push by docker": ("image.push",),
        "push elsewhere": ("image.push", *ACR, "--untested", "--registry", elsewhere),
        "smoke-test": ("--echo", "image.smoke-test", *ACR),
        "push": ("--echo", "image.push", *ACR),
        "push again": ("image.push", *ACR),
    }
    return {name: step(write.acr, project, *words) for name, words in commands.items()}


def walk_in_the_cloud(write: HandedOff, base: str, elsewhere: Path) -> Walk:
    """Build without waiting, resume on another machine, and change the smoke test there."""
    started = write(base, REQUEST, local=False)
    first = step(write.acr, started, "image.build", *ACR, "--no-wait")
    project = copied(started, elsewhere, records=False)
    found = {
        "build": first,
        "resume": step(write.acr, project, "image.resume", "--run", first.ended.stdout.strip(), *ACR),
        "smoke-test": step(write.acr, project, "image.smoke-test", *ACR),
    }
    with (project.folder / "pyproject.toml").open("a", encoding="utf-8") as table:
        table.write("expect = { a = 1 }\n")
    return {
        **found,
        "push before it": step(write.acr, project, "image.push", *ACR),
        "another smoke-test": step(write.acr, project, "image.smoke-test", *ACR),
        "push": step(write.acr, project, "image.push", *ACR),
    }


ENGINE = f"Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[HERE]}"
IN_THE_CLOUD = f"Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[CLOUD]}"
FOUND = "registry REGISTRY: RESOURCE"
BUILT = "run RUN: N s queued, N s running; pushed REGISTRY/NAME/candidate@sha256:ID"


def test_build(walks: Mapping[str, Walk]) -> None:
    """Build leaves a candidate and nothing under the final name; --echo says how Azure's own command does it."""
    done = walks[HERE]["build"]
    digest, name = next(iter(done.waiting)), f"{done.acr.login_server}/{done.project.folder.name}"

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n", {}) == (*done.out, done.tags), done.ended.stderr
    assert f"{name}/candidate@{digest}\n" == done.ended.stdout
    assert done.told == [
        ENGINE,
        "build context: 1 file, N MB, sha256 HASH",
        "invoke image.context | tar --extract --one-top-level=context",
        (
            "az acr build --registry REGISTRY-NAME --timeout 3600 --image 'NAME/candidate:{{.Run.ID}}' "
            "--build-arg CONTEXT_SHA256=HASH --platform linux/amd64 context"
        ),
        FOUND,
        *LOOK,
        BUILT,
        "built sha256:ID",
    ]
    expected = {
        "engine": "acr",
        "id": digest,
        "names": [f"{name}:1.0"],
        "tags": ["1.0"],
        "context_sha256": done.the_run.request["arguments"][0]["value"],
        "user": "dockeruser",
        "candidate": f"{name}/candidate@{digest}",
        "run": done.the_run.id,
        "waiting": [],
    }
    assert {"build.json": expected} == done.records


def test_push_before_the_smoke_test(walks: Mapping[str, Walk]) -> None:
    """What has not passed is not pushed: exit code 5, and what would help."""
    done = walks[HERE]["push before it"]

    expected = [
        ENGINE,
        FOUND,
        "REGISTRY/NAME:1.0 (sha256:ID) has not passed its smoke test.",
        "    invoke image.smoke-test --engine acr",
        "    or push it anyway: invoke image.push --engine acr --untested",
        "Nothing was pushed.",
    ]
    assert (5, "", expected, {}) == (*done.out, done.told, done.tags)
    assert walks[HERE]["build"].records == done.records


def test_push_by_another_engine(walks: Mapping[str, Walk]) -> None:
    """An engine that has not built the image says which has: exit code 4."""
    done = walks[HERE]["push by docker"]

    expected = [
        "REGISTRY/NAME:1.0 was built by the engine acr, not by docker.",
        "    Add: --engine acr",
        "Nothing was pushed.",
    ]
    assert (4, "", expected) == (*done.out, done.told[1:])
    assert {} == done.tags


def test_push_to_another_registry(walks: Mapping[str, Walk], registry: plain_registry.Registry) -> None:
    """A candidate does not leave the registry in which it was built: exit code 6, and the build that would help."""
    done = walks[HERE]["push elsewhere"]

    expected = [
        ENGINE.replace("REGISTRY", "OTHER"),
        "The image was built in REGISTRY, not in OTHER.",
        "    invoke image.build --engine acr --registry OTHER",
        "Nothing was pushed.",
    ]
    told = done.ended.stderr.replace(registry.host, "OTHER")
    assert (6, "", expected) == (*done.out, said(told, done.project, done.acr).splitlines())
    assert (walks[HERE]["build"].records, {}) == (done.records, done.tags)


def test_smoke_test(walks: Mapping[str, Walk]) -> None:
    """The candidate is pulled by its digest, smoke-tested here and removed; --echo says each command."""
    done = walks[HERE]["smoke-test"]

    report = """\
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after N s
    request 1: 200 in p50 N s, p95 N s of 10
    peak memory N MiB
"""
    assert (0, report) == done.out, done.ended.stderr
    assert done.told == [
        ENGINE,
        FOUND,
        "docker pull REGISTRY/NAME/candidate@sha256:ID",
        "pulling REGISTRY/NAME/candidate@sha256:ID",
        "docker run --detach --name CONTAINER --label azureml-tasks.smoke-test=1 --publish 127.0.0.1::5001 sha256:ID",
        "waiting for REGISTRY/NAME:1.0 to answer, 310 s at most",
        "docker rm --force --volumes CONTAINER",
        "docker rmi REGISTRY/NAME/candidate@sha256:ID",
    ]
    assert ["build.json", "smoke-test.json"] == list(done.records)
    assert walks[HERE]["build"].records["build.json"] == done.records["build.json"]
    assert (walks[HERE]["build"].waiting, {}) == (done.waiting, done.tags)


def test_push(walks: Mapping[str, Walk]) -> None:
    """Push gives the candidate its final tag and deletes it; --echo says each command."""
    done = walks[HERE]["push"]

    assert (0, "REGISTRY/NAME@sha256:ID\n") == done.out, done.ended.stderr
    assert done.told == [
        ENGINE,
        FOUND,
        "az acr import --name REGISTRY-NAME --source REGISTRY/NAME/candidate@sha256:ID --image NAME:1.0 --force",
        "az acr repository delete --name REGISTRY-NAME --image NAME/candidate@sha256:ID --yes",
        "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID",
    ]
    assert ({"1.0": done.records["build.json"]["id"]}, frozenset()) == (done.tags, done.waiting)
    assert done.tags["1.0"] == done.ended.stdout.strip().partition("@")[2]
    assert ["build.json", "result.json", "smoke-test.json"] == list(done.records)
    assert ("", []) == (done.records["build.json"]["candidate"], done.records["build.json"]["waiting"])


def test_push_again(walks: Mapping[str, Walk]) -> None:
    """A candidate that was put away is taken from the final repository: the same output, tags and record."""
    first, again = walks[HERE]["push"], walks[HERE]["push again"]

    assert (first.out, first.tags, first.waiting, first.records) == (
        again.out,
        again.tags,
        again.waiting,
        again.records,
    )


def test_build_without_waiting(walks: Mapping[str, Walk]) -> None:
    """--no-wait gives the run's id, and how to take it up again, in words and in a record."""
    done = walks[CLOUD]["build"]

    assert (0, "RUN\n") == done.out
    assert [
        IN_THE_CLOUD,
        FOUND,
        *LOOK,
        "to follow it to its end: invoke image.resume --run RUN --engine acr",
    ] == done.told
    expected = {"run": done.ended.stdout.strip(), "registry": done.acr.login_server}
    assert {"run.json": expected} == done.records


def test_resume_on_another_machine(walks: Mapping[str, Walk]) -> None:
    """A machine without records needs only the run ID: candidate, record and probe events are as after a build."""
    done = walks[CLOUD]["resume"]
    digest, name = next(iter(done.waiting)), f"{done.acr.login_server}/{done.project.folder.name}"

    assert (0, f"{name}/candidate@{digest}\n") == (done.ended.code, done.ended.stdout), done.ended.stderr
    assert [IN_THE_CLOUD, FOUND, BUILT, "built sha256:ID"] == done.told
    assert ["build.json", "probe-events.json"] == list(done.records)
    built = done.records["build.json"]
    assert (digest, walks[CLOUD]["build"].ended.stdout.strip()) == (built["id"], built["run"])
    assert ("dockeruser", [f"{name}:1.0"]) == (built["user"], built["names"])


def test_smoke_test_by_the_run_that_built(walks: Mapping[str, Walk]) -> None:
    """What the run itself has smoke-tested is not tested again: no run is started, and the report is the run's."""
    done = walks[CLOUD]["smoke-test"]

    report = """\
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, in the cloud, by run RUN).
    ready after N s
    request 1: 200 in p50 N s, p95 N s of 10
    peak memory N MiB
"""
    assert (0, report, [IN_THE_CLOUD, FOUND]) == (*done.out, done.told), done.ended.stderr
    assert not [one for one in done.requests if one.path.endswith("/scheduleRun")]
    assert f"by run {walks[CLOUD]['build'].ended.stdout.strip()})" in done.ended.stdout


def test_push_after_the_smoke_test_has_changed(walks: Mapping[str, Walk]) -> None:
    """A pass of another smoke test counts for nothing in the cloud either."""
    done = walks[CLOUD]["push before it"]

    expected = [
        IN_THE_CLOUD,
        FOUND,
        "REGISTRY/NAME:1.0 (sha256:ID) passed another smoke test than the table and its files ask for now.",
        "    invoke image.smoke-test --engine acr",
        "    or push it anyway: invoke image.push --engine acr --untested",
        "Nothing was pushed.",
    ]
    assert (5, "", expected, {}) == (*done.out, done.told, done.tags)


def test_smoke_test_by_a_run_of_its_own(walks: Mapping[str, Walk]) -> None:
    """A changed smoke test is a run that builds and pushes nothing, with the candidate by its digest."""
    done = walks[CLOUD]["another smoke-test"]

    assert (0, walks[CLOUD]["smoke-test"].out[1]) == done.out, done.ended.stderr
    assert [IN_THE_CLOUD, FOUND, *LOOK] == done.told
    _, _, rest = TASK.partition('  - id: "server"\n')
    probing, _, _ = rest.partition('  - id: "push"\n')
    expected = f'version: v1.1.0\nstepTimeout: 3600\nsteps:\n  - id: "server"\n{probing}'
    by_digest = expected.replace(":{{.Run.ID}}", "@sha256:ID")
    assert by_digest == body(done)["encodedTaskContent"]
    assert [] == done.the_run.output_images
    assert walks[CLOUD]["resume"].waiting == done.waiting


def test_push_after_it(walks: Mapping[str, Walk]) -> None:
    """What has passed the changed smoke test is pushed under the digest of the run that built it."""
    done = walks[CLOUD]["push"]

    assert (0, "REGISTRY/NAME@sha256:ID\n") == done.out, done.ended.stderr
    assert (dict.fromkeys(["1.0"], *walks[CLOUD]["resume"].waiting), frozenset()) == (done.tags, done.waiting)


def test_resume_where_it_was_started(handed_off: HandedOff, tiny_base: str) -> None:
    """Without an id, resume follows the run that was started here last; afterwards there is none any more."""
    project = handed_off(tiny_base)
    assert step(handed_off.acr, project, "image.build", *ACR, "--no-wait").ended.code == 0
    done = step(handed_off.acr, project, "image.resume", *ACR)
    again = step(handed_off.acr, project, "image.resume", *ACR)

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == done.out, done.ended.stderr
    assert ["build.json"] == list(done.records)
    expected = [
        ENGINE,
        "No remote build of this project is unfinished.",
        "    Name one: invoke image.resume --run ID --engine acr",
        "Nothing was built.",
    ]
    assert (4, "", expected) == (*again.out, again.told)


@pytest.mark.parametrize("words", [("image.build", "--no-wait"), ("image.resume", "--run", "ca1")])
def test_a_local_engine_hands_nothing_off(
    words: tuple[str, ...],
    handed_off: HandedOff,
    tiny_base: str,
) -> None:
    """--no-wait and resume are for remote builds: exit code 2, and the flag to add."""
    done = step(handed_off.acr, handed_off(tiny_base), *words)

    asked = "--no-wait" if "--no-wait" in words else "image.resume"
    expected = [
        f"{asked}: is for remote builds, and the engine is docker",
        "    Add: --engine acr",
        "",
        "1 problem; nothing was built.",
    ]
    assert (2, "", expected) == (*done.out, done.told)


def test_clean_removes_every_waiting_candidate(handed_off: HandedOff, tiny_base: str) -> None:
    """Who may not delete pushes all the same and is told what stays; clean, once it may, removes all that waits."""
    acr, project = handed_off.acr, handed_off(tiny_base)
    first = step(acr, project, "image.build", *ACR)
    (project.folder / "code/score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return 1\n")
    second = step(acr, project, "image.build", *ACR)
    acr.settings.caller_actions = {"*": KEEPS}
    pushed = step(acr, project, "image.push", *ACR, "--untested")
    dry = step(acr, project, "--dry", "image.clean")
    acr.settings.caller_actions = {"*": DELETES}
    cleaned = step(acr, project, "image.clean")

    digests = [done.records["build.json"]["id"] for done in (first, second)]
    name = project.folder.name
    assert [f"{acr.login_server}/{name}/candidate@{digests[0]}"] == second.records["build.json"]["waiting"]
    warning = [
        "warning: REGISTRY/NAME:1.0 has not passed its smoke test; it is pushed anyway, as --untested says",
        (
            "warning: the candidate image NAME/candidate@sha256:ID was not deleted: "
            "Registry REGISTRY refused to delete NAME/candidate@sha256:ID: not allowed (401)."
        ),
        "    az acr repository delete --name loopbackregistry --image NAME/candidate@sha256:ID",
    ]
    assert (0, "REGISTRY/NAME@sha256:ID\n", [ENGINE, FOUND, *warning]) == (*pushed.out, pushed.told)
    assert f"--image {name}/candidate@{digests[1]}\n" in pushed.ended.stderr
    assert (second.records["build.json"], frozenset(digests)) == (
        pushed.records["build.json"],
        pushed.waiting,
    )
    folder = project.folder / ".azureml-image"
    delete = f"az acr repository delete --name {acr.login_server.partition('.')[0]} --image {name}/candidate@"
    commands = [f"{delete}{digest} --yes" for digest in digests]
    assert (0, [*commands, f"rm -r {folder}"]) == (dry.ended.code, dry.ended.stdout.splitlines())
    assert () == dry.requests
    removed = [f"removed {acr.login_server}/{name}/candidate@{digest}" for digest in digests]
    assert (0, [*removed, "removed .azureml-image"]) == (
        cleaned.ended.code,
        cleaned.ended.stdout.splitlines(),
    )
    assert ({"1.0": digests[1]}, frozenset(), {}) == (cleaned.tags, cleaned.waiting, cleaned.records)


# Images that do not pass


RAISES = "def init():\n    raise ValueError('no model here')\n\n\ndef run(data):\n    return data\n"
REFUSES = "def init():\n    pass\n\n\ndef run(data):\n    raise ValueError('no answer here')\n"
DIES = """\
import os, signal, threading


def init():
    os.kill(1, signal.SIGHUP)
    threading.Event().wait()  # An init() that returned would let the server answer until the container has ended.


def run(data):
    return data
"""
DIFFERS = "def init():\n    pass\n\n\ndef run(data):\n    return {'a': 2}\n"
PACKAGE = "/opt/miniconda/envs/amlenv/lib/python3.11/site-packages/azureml_inference_server_http/server/user_script.py"
END = [
    "    the container exited with code 111",
    "    GET / did not answer 200",
    "    last try: …",
    "",
]
NOT_RUN = "Not run: swagger.json, request 1, malformed body"
BROKEN: Mapping[str, tuple[str, str, list[str]]] = {
    "init() raises": (
        RAISES,
        "",
        [
            "",
            "Failed: start-up",
            *END,
            NOT_RUN,
            "",
            "In the container's log:",
            "    Traceback (most recent call last):",
            f'      File "{PACKAGE}", line 119, in invoke_init',
            "        self._user_init()",
            '      File "/var/azureml-app/score.py", line 2, in init',
            "        raise ValueError('no model here')",
            "    ValueError: no model here",
        ],
    ),
    "another answer": (
        DIFFERS,
        "expect = { a = 1 }\n",
        [
            "    ready after N s",
            "    peak memory N MiB",
            "",
            "Failed: request 1",
            "    $.a: expected 1, got 2",
            "    request: POST /score, 8 bytes",
            '        {"a": 1}',
            "    answer: 200 OK, 8 bytes",
            '        {"a": 2}',
            "    expected: status 200, and in the answer (numbers within 1e-06)",
            '        {"a": 1}',
        ],
    ),
    "another status": (
        REFUSES,
        "",
        [
            "    ready after N s",
            "    peak memory N MiB",
            "",
            "Failed: request 1",
            "    expected status 200, got 500 Internal Server Error",
            "    run() raised an exception (header x-ms-run-function-failed: True); the log has its traceback",
            "    request: POST /score, 8 bytes",
            '        {"a": 1}',
            "    answer: 500 Internal Server Error, 92 bytes",
            '        {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}',
            "    expected: status 200",
            "",
            "Not run: malformed body",
            "",
            "In the container's log:",
            "    Traceback (most recent call last):",
            f'      File "{PACKAGE}", line 132, in invoke_run',
            "        run_output = self._wrapped_user_run(**run_parameters, request_headers=dict(request.headers))",
            f'      File "{PACKAGE}", line 156, in <lambda>',
            "        self._wrapped_user_run = lambda request_headers, **kwargs: self._user_run(**kwargs)",
            '      File "/var/azureml-app/score.py", line 6, in run',
            "        raise ValueError('no answer here')",
            "    ValueError: no answer here",
        ],
    ),
    "the container ends": (DIES, "", ["", "Failed: start-up", *END, NOT_RUN]),
}


@pytest.fixture(scope="module")
def failures(handed_off_session: HandedOff, amlenv_base: str) -> Mapping[tuple[str, str], Step]:
    """A release of each, in both places at once; a server in the cloud has the engine's one name for it, in turn."""

    def all_in(place: str) -> dict[tuple[str, str], Step]:
        return {
            (place, case): step(
                handed_off_session.acr,
                handed_off_session(
                    amlenv_base, REQUEST + more, local=place == HERE, files={"code/score.py": score}
                ),
                "image.release",
                *ACR,
            )
            for case, (score, more, _) in BROKEN.items()
        }

    with ThreadPoolExecutor() as lanes:
        here, cloud = lanes.map(all_in, (HERE, CLOUD))
    return {**here, **cloud}


def report_of(done: Step) -> list[str]:
    """The report in an error, from its first line to where the container's log begins, and what follows that."""
    lines = done.told
    start = next(index for index, line in enumerate(lines) if "failed its smoke test" in line)
    log = next(index for index, line in enumerate(lines) if re.match(r"The last 40 of the \d+ lines", line))
    end = next(index for index, line in enumerate(lines) if line.startswith("Look inside: "))
    shown = [re.sub(r"last try: .*", "last try: …", line) for line in lines[start:log]]
    return [line for line in shown if not re.fullmatch(r"\s*[~^]+", line)] + lines[end:]


@PLACE
@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_pass(place: str, case: str, failures: Mapping[tuple[str, str], Step]) -> None:
    """The report is the same wherever it was tested, exit code 5; no tag names the image, no candidate is left."""
    done = failures[place, case]

    pushed = place == HERE or case == "another answer"
    where = f"sha256:ID, {PLACES[place]}" if pushed else PLACES[place]
    expected = [f"REGISTRY/NAME:1.0 failed its smoke test ({where}).", *BROKEN[case][2]]
    # Blank lines are the run's log's too, so that they tell nothing here.
    words = [line for line in expected if line]
    state = {
        HERE: "The image was built by run RUN. It was not pushed.",
        CLOUD: "Nothing was published." if pushed else "Nothing was pushed.",
    }
    look = "Look inside: invoke image.build --engine docker (a candidate image that fails is deleted)"
    assert [*words, look, state[place]] == [line for line in report_of(done) if line]
    assert (5, {}, frozenset()) == (done.ended.code, done.tags, done.waiting)
    out = "REGISTRY/NAME/candidate@sha256:ID\n" if place == HERE else ""
    assert out == done.out[1]
    assert (["build.json"] if place == HERE else []) == list(done.records)
    assert not done.records or "" == done.records["build.json"]["candidate"]


def test_what_does_not_pass_may_be_published(handed_off: HandedOff, amlenv_base: str) -> None:
    """With --untested the cloud builds first and smoke-tests by a run of its own; what it says stops nothing."""
    more = f"{REQUEST}expect = {{ a = 1 }}\n"
    project = handed_off(amlenv_base, more, local=False, files={"code/score.py": DIFFERS})
    done = step(handed_off.acr, project, "image.release", *ACR, "--untested")

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\nREGISTRY/NAME@sha256:ID\n") == done.out, done.ended.stderr
    assert ["DockerBuildRequest", "EncodedTaskRunRequest"] == [
        run.request["type"] for run in handed_off.acr.runs[-2:]
    ]
    failed = f"REGISTRY/NAME:1.0 failed its smoke test (sha256:ID, {PLACES[CLOUD]})."
    warning = (
        "warning: REGISTRY/NAME:1.0 has not passed its smoke test; it is pushed anyway, as --untested says"
    )
    removed = "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID"
    assert [failed, warning, removed] == [line for line in done.told if line in {failed, warning, removed}]
    assert ({"1.0": done.records["build.json"]["id"]}, frozenset()) == (done.tags, done.waiting)
    assert (["build.json", "result.json"], None) == (list(done.records), done.records["result.json"]["smoke"])


@PLACE
def test_a_build_step_fails(place: str, handed_off: HandedOff, tiny_base: str) -> None:
    """The step and its last lines are in the error: exit code 4, and nothing is left anywhere."""
    project = handed_off(tiny_base, 'run = [{ command = "echo no; exit 3" }]', local=place == HERE)
    done = step(handed_off.acr, project, "image.release", *ACR)

    error = [
        'A build step failed in run RUN: RUN ["/bin/sh", "-c", "echo no; exit 3"]',
        "    Its last lines say why:",
        "    no",
        "    The command '/bin/sh -c echo no; exit 3' returned a non-zero code: 3",
        "Nothing was built.",
    ]
    assert (4, "", error) == (*done.out, done.told[-5:])
    assert ({}, frozenset(), {}) == (done.tags, done.waiting, done.records)


# Which engine


def test_auto_takes_docker_where_it_answers(
    handed_off: HandedOff,
    tiny_base: str,
    docker_client: docker.DockerClient,
) -> None:
    """With --engine auto an engine that answers builds, and nothing is asked of Azure."""
    done = step(handed_off.acr, handed_off(tiny_base), "image.build", "--engine", "auto")

    docker_client.images.remove(f"{handed_off.acr.login_server}/{done.project.folder.name}:1.0")
    assert (0, "REGISTRY/NAME:1.0\n", ()) == (*done.out, done.requests), done.ended.stderr
    assert "docker" == done.records["build.json"]["engine"]


def test_auto_hands_off_where_docker_does_not_answer(handed_off: HandedOff, tiny_base: str) -> None:
    """With --engine auto and no engine that answers the registry builds, and that is said first."""
    handed_off.acr.next_run(queued=True)
    done = step(
        handed_off.acr, handed_off(tiny_base, local=False), "image.build", "--engine", "auto", "--no-wait"
    )

    aloud = (
        'Docker\'s engine does not answer (context "default", ENGINE). '
        "Building in Azure Container Registry instead, as --engine auto says."
    )
    assert (0, "RUN\n", [aloud, IN_THE_CLOUD]) == (*done.out, done.told[:2])


@pytest.mark.parametrize("more", ["", "[tool.azureml-image.acr]\n"])
def test_a_dead_engine_offers_the_registry_to_those_who_have_one(
    more: str,
    handed_off: HandedOff,
    tiny_base: str,
) -> None:
    """Only a project with the table `acr` is told of the hand-off where its engine does not answer."""
    done = step(handed_off.acr, handed_off(tiny_base, more, local=False), "image.build")

    offer = [
        "    or build in Azure Container Registry: invoke image.build --engine acr",
        "    (a Dockerfile is best tested on an engine of your own first: an agent in the cloud starts with nothing)",
    ]
    expected = [
        'Docker\'s engine does not answer (context "default", ENGINE).',
        "    Start it: open Docker Desktop, or on Linux: sudo systemctl start docker",
        *(offer if more else []),
        "    the connection failed: [Errno 2] No such file or directory",
        "Nothing was built.",
    ]
    assert (3, "", expected, ()) == (*done.out, done.told, done.requests)


# Several at once


def test_two_releases_of_the_same_files(
    handed_off: HandedOff,
    amlenv_base: str,
    tmp_path: Path,
) -> None:
    """Two machines that release the same bytes at once end with the same digest, and both put its candidate away."""
    acr, one = handed_off.acr, handed_off(amlenv_base)
    built = step(acr, one, "image.build", *ACR)
    two = copied(one, tmp_path / "second", records=False)
    holds = Hold(), Hold()
    for hold in holds:
        acr.faults.add(f"DELETE /v2/{one.folder.name}/candidate/manifests/", hold)
    with begun(one, "image.release", *ACR) as first, begun(two, "image.release", *ACR) as second:
        assert all(hold.reached.wait(SECONDS) for hold in holds)
        for hold in holds:
            hold.release()
        outs = [running.communicate() for running in (first, second)]

    codes = [first.returncode, second.returncode]
    reference = f"{acr.login_server}/{one.folder.name}@{built.records['build.json']['id']}"
    assert ([0, 0], [reference, reference]) == (codes, [out.splitlines()[-1] for out, _ in outs]), outs
    assert {"1.0": built.records["build.json"]["id"]} == acr.tags(one.folder.name)
    assert {} == acr.tags(f"{one.folder.name}/candidate")


def test_two_releases_of_different_files(
    handed_off: HandedOff,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """Who is overtaken between its push and the registry's word claims no digest: exit code 6, and what is there."""
    acr, one = handed_off.acr, handed_off(tiny_base)
    two = copied(one, tmp_path / "second")
    (two.folder / "code/score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return 1\n")
    slow, fast = (step(acr, each, "image.build", *ACR) for each in (one, two))
    hold = Hold()
    acr.faults.add(f"GET /v2/{one.folder.name}/manifests/1.0", hold)
    with begun(one, "image.push", *ACR, "--untested") as first:
        assert hold.reached.wait(SECONDS)
        second = step(acr, two, "image.push", *ACR, "--untested")
        hold.release()
        out, error = first.communicate()
    done = ended(acr, one, Ended(code=first.returncode, stdout=out, stderr=error))

    mine, theirs = slow.records["build.json"]["id"], fast.records["build.json"]["id"]
    assert (0, f"{acr.login_server}/{one.folder.name}@{theirs}\n") == (second.ended.code, second.ended.stdout)
    expected = [
        f"REGISTRY/NAME:1.0 is {theirs}, not {mine}: someone else pushed this tag at the same time.",
        "    Push again, or use another tag: --tag",
        f"The image is in the registry as NAME@{mine}; the tag names another one.",
    ]
    lines = error.replace(acr.login_server, "REGISTRY").replace(one.folder.name, "NAME").splitlines()
    assert (6, "", expected) == (done.ended.code, done.ended.stdout, lines[-3:])
    assert ({"1.0": theirs}, frozenset({mine}), ["build.json"]) == (
        done.tags,
        done.waiting,
        list(done.records),
    )
    assert mine == f"sha256:{hashlib.sha256(acr.manifest(one.folder.name, mine)).hexdigest()}"


def test_an_image_that_another_smoke_test_still_runs(
    docker_client: docker.DockerClient, tiny_base: str, registry: plain_registry.Registry
) -> None:
    """What was pulled stays, without an error, where a container of another smoke test has come to need it."""
    name = f"{registry.host}/{unique('pulled')}"
    made, _ = docker_client.images.build(
        fileobj=io.BytesIO(f"FROM {tiny_base}\nLABEL of={name}\n".encode()), tag=f"{name}:1", rm=True
    )
    docker_client.images.push(name, tag="1")
    by_digest = f"{name}@{digest_of(registry, name.partition('/')[2], '1')}"
    docker_client.images.remove(f"{name}:1")
    containers = []
    try:
        with pulled_image(connect(), by_digest, lambda: ("", ""), Console()) as found:
            containers.append(docker_client.containers.run(found, ["sleep", "600"], detach=True))
        assert made.id == found == docker_client.images.get(by_digest).id
    finally:
        for container in containers:
            container.remove(force=True)
        docker_client.images.remove(by_digest, force=True)
    assert [] == docker_client.images.list(name=name)


# Which registry


LISTS = "/providers/Microsoft.ContainerRegistry/registries"
MAIN, OTHER = (
    "/subscriptions/44444444-dddd-4ddd-8ddd-444444444444",
    "/subscriptions/55555555-eeee-4eee-8eee-555555555555",
)
IN_GROUP = f"{MAIN}/resourceGroups/ml-team"
WAYS: Mapping[str, tuple[str, Mapping[str, str], list[str]]] = {
    "by its login server": (
        "",
        {},
        ["/subscriptions", "/subscriptions", f"{OTHER}{LISTS}", *[f"{MAIN}{LISTS}"] * 2],
    ),
    "by the variable": ("", {"AZURE_SUBSCRIPTION_ID": MAIN.rpartition("/")[2]}, [f"{MAIN}{LISTS}"] * 2),
    "by the subscription": (f'subscription = "{MAIN.rpartition("/")[2]}"', {}, [f"{MAIN}{LISTS}"] * 2),
    "by the resource group": (
        'resource-group = "ml-team"',
        {},
        ["/subscriptions", "/subscriptions", f"{OTHER}/resourceGroups/ml-team{LISTS}", f"{IN_GROUP}{LISTS}"],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_registry_is_found(way: str, handed_off: HandedOff, tiny_base: str) -> None:
    """Only what the table and the environment leave open is asked for, page by page."""
    more, env, expected = WAYS[way]
    handed_off.acr.next_run(queued=True)
    project = handed_off(tiny_base, f"[tool.azureml-image.acr]\n{more}")
    done = step(handed_off.acr, project, "image.build", *ACR, "--no-wait", env=env)

    asked = [one.path for one in done.requests if (one.front, one.method) == ("arm", "GET")]
    assert (0, [ENGINE, FOUND], expected) == (done.ended.code, done.told[:2], asked), done.ended.stderr


def of_workspace(handed_off: HandedOff, base: str) -> Consumer:
    """A project that names a workspace, and no registry."""
    more = f'[tool.azureml-image.acr]\nworkspace = "{handed_off.acr.workspace}"\nresource-group = "ml-team"\n'
    project = handed_off(base, more)
    table = project.folder / "pyproject.toml"
    table.write_text(re.sub(r"(?m)^registry = .*\n", "", table.read_text("utf-8")), encoding="utf-8")
    return project


AT_WORKSPACE = (
    f"Azure Container Registry the registry of workspace loopback-workspace (AzureCloud); {SMOKE_TEST[HERE]}"
)


def test_the_registry_of_a_workspace(handed_off: HandedOff, tiny_base: str) -> None:
    """A workspace says which registry it is, from the build to the digest."""
    acr = handed_off.acr
    acr.settings.workspace_registry = acr.registry.id
    project = of_workspace(handed_off, tiny_base)
    built = step(acr, project, "image.build", *ACR)
    pushed = step(acr, project, "image.push", *ACR, "--untested")

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n", AT_WORKSPACE) == (*built.out, built.told[0]), (
        built.ended.stderr
    )
    assert [f"{acr.login_server}/{project.folder.name}:1.0"] == built.records["build.json"]["names"]
    assert (0, "REGISTRY/NAME@sha256:ID\n") == pushed.out, pushed.ended.stderr
    assert {"1.0": built.records["build.json"]["id"]} == pushed.tags


def test_a_workspace_without_a_registry(handed_off: HandedOff, tiny_base: str) -> None:
    """Before its first image a workspace has none: exit code 6, and both ways out."""
    done = step(handed_off.acr, of_workspace(handed_off, tiny_base), "image.build", *ACR)

    expected = [
        AT_WORKSPACE,
        "The workspace loopback-workspace has no container registry yet.",
        (
            "    az ml workspace update --name loopback-workspace --resource-group ml-team "
            "--container-registry REGISTRY-ID --update-dependent-resources"
        ),
        '    or name a registry: registry = "contoso.azurecr.io"',
        "Nothing was built.",
    ]
    told = [line for line in done.told if not line.startswith("build context: ")]
    assert (6, "", expected, {}) == (*done.out, told, done.records)


def test_no_registry_has_that_login_server(handed_off: HandedOff, tiny_base: str) -> None:
    """A login server that no subscription has is told with where to look: exit code 6."""
    done = step(
        handed_off.acr, handed_off(tiny_base), "image.build", *ACR, "--registry", "contoso.azurecr.io"
    )

    expected = [
        "No registry in 2 subscriptions has the login server contoso.azurecr.io.",
        "    Check registry; to list the login servers: az acr list --query [].loginServer",
        "    or ask for the role Reader on the registry, without which it is not listed",
        '    or sign in to its subscription: az login; subscription = "…" in [tool.azureml-image.acr]',
        "Nothing was built.",
    ]
    assert (6, "", expected, {}) == (*done.out, done.told[-5:], done.records)


def test_two_registries_have_that_login_server(handed_off: HandedOff, tiny_base: str) -> None:
    """Where two have it, neither is guessed: both are named, exit code 6."""
    acr = handed_off.acr
    second = {"id": f"{OTHER}/second", "name": "second", "properties": {"loginServer": acr.login_server}}
    acr.faults.add(f"GET {OTHER}/providers", Reply(status=200, json={"value": [second]}))
    done = step(acr, handed_off(tiny_base), "image.build", *ACR)

    expected = [
        "2 registries have the login server REGISTRY.",
        "    Set subscription and resource-group in [tool.azureml-image.acr]",
        "    Azure lists:",
        f"    {OTHER}/second",
        "    RESOURCE",
        "Nothing was built.",
    ]
    assert (6, "", expected, {}) == (*done.out, done.told[-6:], done.records)


def test_a_managed_identity(handed_off: HandedOff, tiny_base: str) -> None:
    """On Azure itself the machine's own identity signs in, without a secret."""
    acr, project = handed_off.acr, handed_off(tiny_base)
    acr.next_run(queued=True)
    env = {name: text for name, text in project.env.items() if name not in acr.environment()}
    own = replace(project, env={**env, **acr.managed_identity()})
    done = step(acr, own, "image.build", *ACR, "--no-wait")

    assert (0, "RUN\n") == done.out, done.ended.stderr
    assert {"identity", "arm", "registry", "storage"} == {one.front for one in done.requests}


def test_a_registry_that_decides_by_repository(handed_off: HandedOff, tiny_base: str) -> None:
    """There the run acts as its caller, which the request says; so it may push."""
    handed_off.acr.settings.role_assignment_mode = "AbacRepositoryPermissions"
    done = step(handed_off.acr, handed_off(tiny_base), "image.build", *ACR)

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == done.out, done.ended.stderr
    caller = {"credentials": {"sourceRegistry": {"identity": "[caller]"}}}
    context = done.records["build.json"]["context_sha256"]
    assert {**quick_build(done.project.folder.name, context), **caller} == body(done)


def test_a_pool_and_a_timeout(handed_off: HandedOff, tiny_base: str) -> None:
    """The request names the table's agent pool and timeout."""
    handed_off.acr.next_run(queued=True)
    more = '[tool.azureml-image.acr]\nagent-pool = "large"\ntimeout = 7200\n'
    done = step(handed_off.acr, handed_off(tiny_base, more), "image.build", *ACR, "--no-wait", "--no-cache")

    found = body(done)
    context = found["arguments"][0]["value"]
    own = {"agentPoolName": "large", "timeout": 7200, "noCache": True}
    assert {**quick_build(done.project.folder.name, context), **own} == found


def test_a_sign_in_that_is_sent_elsewhere(handed_off: HandedOff, tiny_base: str) -> None:
    """A registry whose challenge names another host gets no token, and neither does that host: exit code 6."""
    acr = handed_off.acr
    challenge = {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:9/oauth2/token",service="elsewhere"'}
    acr.faults.add("GET /v2/$", Reply(status=401, headers=challenge), times=None)
    done = step(acr, handed_off(tiny_base), "image.build", *ACR)

    expected = [
        "Registry REGISTRY names another address for sign-in: http://127.0.0.1:PORT/oauth2/token.",
        "    No credentials were sent. Check the network between this machine and the registry.",
        "Nothing was built.",
    ]
    assert (6, "", expected) == (*done.out, done.told[-3:])
    asked = {
        (one.method, one.path, one.bearer, one.basic) for one in done.requests if one.front == "registry"
    }
    assert {("GET", "/v2/", False, False)} == asked


# Secrets


PASSWORDS = ("netrc-Zq7-$HOME-`id`-\\-\"-'-\\$(id)", "address-Kx4-password")
"""The first has what a shell of the agent would read as its own."""
CORES = ("netrc-Zq7", "address-Kx4")
SECRETS = """
pip = ["alpha", "beta"]

[tool.azureml-image.secrets]
pip-conf = { env = "CONTOSO_PIP_CONF" }
netrc = { file = "../netrc" }
"""


@pytest.fixture
def index(docker_client: docker.DockerClient, amlenv_base: str, tmp_path: Path) -> Iterator[Private]:
    """An index that answers no one without a login."""
    folder = tmp_path / "index"
    folder.mkdir()
    with serving(docker_client, amlenv_base, folder, netrc=PASSWORDS[0], address=PASSWORDS[1]) as private:
        yield private


def test_secrets_reach_pip_and_show_nowhere(
    handed_off: HandedOff,
    amlenv_base: str,
    index: Private,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """Both logins arrive unchanged in the task's step; no output, record, archive, log, history or layer has them."""
    acr = handed_off.acr
    # A layer of another test's build would need no secret.
    first = f'[[tool.azureml-image.run]]\nafter = "apt"\ncommand = "touch /srv/{unique("secrets")}"\n'
    project = handed_off(amlenv_base, SECRETS + first)
    (project.folder.parent / "netrc").write_text(index.login, encoding="utf-8")
    done = step(acr, project, "--echo", "image.build", *ACR, env={"CONTOSO_PIP_CONF": index.conf})

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == done.out, done.ended.stderr
    candidate = acr.manifest(f"{project.folder.name}/candidate", done.records["build.json"]["id"])
    image = str(json.loads(candidate)["config"]["digest"])
    packages = installed(docker_client, image)
    assert {"alpha": "1.0", "beta": "1.0"} == {word: packages.get(word) for word in ("alpha", "beta")}
    sent = dict(done.the_run.request)
    values = sent.pop("values")
    assert {"pipconf", "netrc"} == {each["name"] for each in values if each["isSecret"] is True}
    assert done.the_run.archive
    shown = {
        "stdout and stderr": (done.ended.stdout + done.ended.stderr).encode(),
        "log": done.the_run.text.encode(),
        "archive": gzip.decompress(done.the_run.archive),
        "request": json.dumps(sent).encode() + base64.b64decode(sent["encodedTaskContent"]),
        "history": json.dumps(docker_client.images.get(image).history()).encode(),
        **{path.name: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()},
        **{str(at): part for at, part in enumerate(layers(docker_client, image, tmp_path))},
    }
    assert [] == showing(shown, CORES)
    # Each of these was looked at, and would have shown it.
    assert ["netrc", "pip-conf"] == showing(
        {"netrc": index.login.encode(), "pip-conf": index.conf.encode()}, CORES
    )
    assert (True, True, True) == (
        "--secret id=pip-conf,src=/run/azureml-secrets/pip-conf" in done.ended.stderr,
        f"http://bob:****@{index.host}:8080/two" in done.the_run.text,
        b"alpha" in shown["archive"],
    )


# Images of other kinds


def test_an_image_without_code(handed_off: HandedOff, amlenv_base: str) -> None:
    """An image of packages alone is tested in the cloud with the default entry script, which does not get into it."""
    done = step(handed_off.acr, handed_off(amlenv_base, local=False, files={}), "image.release", *ACR)

    expected = """\
REGISTRY/NAME/candidate@sha256:ID
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, in the cloud, by run RUN).
    ready after N s
    peak memory N MiB
Warning: the image has no code, so a default entry script showed that the server starts with its packages
REGISTRY/NAME@sha256:ID
"""
    assert (0, expected) == done.out, done.ended.stderr
    assert "COPY" not in re.findall(r"(?m)^Step \d+/\d+ : (\w+)", done.the_run.text)


@PLACE
def test_an_image_whose_model_is_mounted(place: str, handed_off: HandedOff, amlenv_base: str) -> None:
    """A model is mounted where an engine here smoke-tests; the cloud refuses before anything is sent: exit code 3."""
    score = (
        "import os\nfrom pathlib import Path\n\n\ndef init():\n    pass\n\n\ndef run(data):\n"
        '    return Path(os.environ["AZUREML_MODEL_DIR"], "word").read_text()\n'
    )
    more = '[tool.azureml-image.smoke-test]\nmodel = "mounted"\nrequests = [{ body = 1, expect = "hello" }]\n'
    files = {"code/score.py": score, "mounted/word": "hello"}
    project = handed_off(amlenv_base, more, local=place == HERE, files=files)
    done = step(handed_off.acr, project, "image.release", *ACR)

    if place == CLOUD:
        refusal = [
            "A smoke test in the cloud cannot mount a model (smoke-test.model).",
            '    Run it on a Docker engine, or bake the model in: model = "…"',
            "Nothing was built.",
        ]
        assert (3, "", refusal, ()) == (*done.out, done.told[-3:], done.requests)
        return
    assert (0, "REGISTRY/NAME@sha256:ID") == (done.out[0], done.out[1].splitlines()[-1]), done.ended.stderr


# Without effects


@PLACE
def test_dry(place: str, handed_off: HandedOff, amlenv_base: str) -> None:
    """--dry prints each effect as the command of Azure's or Docker's that does the same, and asks nobody."""
    project = handed_off.example(amlenv_base, local=place == HERE)
    done = step(handed_off.acr, project, "--dry", "image.release", *ACR)

    # Nobody asked which prefixes are there, so the commands build the whole image in one piece.
    whole = TASK[: TASK.index('  - id: "build-system"')] + TASK[TASK.index('  - id: "build"\n') :]
    by_task = f"az acr run --registry REGISTRY-NAME --timeout 3600 --file - context <<'EOF'\n{whole}EOF"
    quick = (
        "az acr build --registry REGISTRY-NAME --timeout 3600 --image 'NAME/candidate:{{.Run.ID}}' "
        "--build-arg CONTEXT_SHA256=HASH --platform linux/amd64 context"
    )
    by_digest = "REGISTRY/NAME/candidate@DIGEST"
    smoke_test = [
        f"docker pull {by_digest}",
        (
            "docker run --detach --name CONTAINER --label azureml-tasks.smoke-test=1 --publish 127.0.0.1::5001 "
            f"{by_digest}"
        ),
        "docker rm --force --volumes CONTAINER",
        f"docker rmi {by_digest}",
    ]
    expected = [
        "invoke image.context | tar --extract --one-top-level=context",
        *([quick, *smoke_test] if place == HERE else by_task.splitlines()),
        f"az acr import --name REGISTRY-NAME --source {by_digest} --image NAME:1.0.0 --force",
        "az acr repository delete --name REGISTRY-NAME --image NAME/candidate@DIGEST --yes",
    ]
    assert (0, expected) == (done.out[0], done.out[1].splitlines()), done.ended.stderr
    assert ((), {}) == (done.requests, done.records)


def test_dry_attach(handed_off: HandedOff, tiny_base: str) -> None:
    """Resuming is Azure's own command that shows a run's log to its end."""
    done = step(handed_off.acr, handed_off(tiny_base), "--dry", "image.resume", "--run", "ca7", *ACR)

    expected = "az acr task logs --registry REGISTRY-NAME --run-id RUN\n"
    assert (0, expected, ()) == (*done.out, done.requests)


@PLACE
def test_check_signs_in_to_nothing(place: str, handed_off: HandedOff, tiny_base: str) -> None:
    """Check names the registry and where the image would be smoke-tested, and asks neither of them."""
    done = step(handed_off.acr, handed_off(tiny_base, local=place == HERE), "image.check", *ACR)

    line = next(line for line in done.out[1].splitlines() if line.startswith("engine"))
    assert f"engine   Azure Container Registry REGISTRY (AzureCloud); {SMOKE_TEST[place]}" == line
    assert (0, (), {}) == (done.ended.code, done.requests, done.records)


# Ctrl-C and SIGTERM


SIGNALS = pytest.mark.parametrize(
    ("by", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)


@SIGNALS
@pytest.mark.parametrize("at", ["queued", "building"])
def test_interrupted(
    at: str,
    by: signal.Signals,
    code: int,
    word: str,
    handed_off: HandedOff,
    tiny_base: str,
) -> None:
    """Ctrl-C and SIGTERM end the run, wherever it is by then, and leave nothing."""
    acr = handed_off.acr
    project = handed_off(tiny_base, 'run = [{ command = "echo begun; sleep 600" }]')
    if at == "queued":
        acr.next_run(queued=True)
    line = f"--run-id ca{len(acr.runs) + 1}" if at == "queued" else "begun"
    done = ended(acr, project, project.interrupted("image.release", *ACR, at=line, by=by))

    last = [
        "cancelling run RUN",
        "run RUN ended: Canceled",
        f"{word}. Everything that was started has been stopped and removed.",
    ]
    assert (code, "", last) == (*done.out, done.told[-3:])
    assert ("Canceled", {}, frozenset(), {}) == (done.the_run.status, done.tags, done.waiting, done.records)


@SIGNALS
def test_interrupted_while_it_sends(
    by: signal.Signals,
    code: int,
    word: str,
    handed_off: HandedOff,
    tiny_base: str,
) -> None:
    """Ctrl-C and SIGTERM end the upload, also where nothing moves, and no run is started."""
    acr, project = handed_off.acr, handed_off(tiny_base)
    before, hold = len(acr.runs), Hold()
    acr.faults.add(lambda front, line: front == "storage" and line.startswith("PUT "), hold, times=None)
    with begun(project, "image.release", *ACR) as running:
        assert hold.reached.wait(SECONDS)
        os.killpg(running.pid, by) if by == signal.SIGINT else running.send_signal(by)
        out, error = running.communicate()
    done = ended(acr, project, Ended(code=running.returncode, stdout=out, stderr=error))

    last = f"{word}. Everything that was started has been stopped and removed."
    assert (code, "", [FOUND, last]) == (*done.out, done.told[-2:])
    assert (before, {}) == (len(acr.runs), done.records)
