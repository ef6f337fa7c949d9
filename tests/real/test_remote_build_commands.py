"""Each command of a remote build, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from azureml_tasks.commands.publishing import kept_tag
from tests.machine import registry as plain_registry
from tests.real.remote_output import (
    ACR,
    BUILT,
    CLOUD,
    ENGINE,
    FOUND,
    HERE,
    IN_THE_CLOUD,
    LOOK,
    PARTS,
    REQUEST,
    TASK,
    body,
    quick_build,
)
from tests.real.remote_projects import CommandResult, RemoteProjects, copied, normalize, run_command

BY_DIGEST = "az acr import --name REGISTRY --source REGISTRY/NAME/candidate@sha256:ID --image"
"""The command that copies the candidate to a final tag."""
Walk = Mapping[str, CommandResult]
"""Name of a command -> its result."""


@pytest.fixture(scope="module")
def commands(
    shared_remote_projects: RemoteProjects,
    amlenv_base: str,
    registry: plain_registry.Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Walk]:
    """Run the commands with and without a local engine, both at once."""
    with ThreadPoolExecutor() as lanes:
        here = lanes.submit(local_commands, shared_remote_projects, amlenv_base, registry.host)
        cloud = lanes.submit(
            cloud_commands, shared_remote_projects, amlenv_base, tmp_path_factory.mktemp("ci")
        )
        return {HERE: here.result(), CLOUD: cloud.result()}


def local_commands(write: RemoteProjects, base: str, elsewhere: str) -> Walk:
    """Build, smoke-test and push with a local engine, with failing commands in between."""
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
    return {name: run_command(write.acr, project, *words) for name, words in commands.items()}


def cloud_commands(write: RemoteProjects, base: str, elsewhere: Path) -> Walk:
    """Build without waiting, resume on another machine, and change the smoke test there."""
    started = write(base, REQUEST, local=False)
    first = run_command(write.acr, started, "image.build", *ACR, "--no-wait")
    project = copied(started, elsewhere, records=False)
    results = {
        "build": first,
        "resume": run_command(write.acr, project, "image.resume", "--run", first.ended.stdout.strip(), *ACR),
        "smoke-test": run_command(write.acr, project, "image.smoke-test", *ACR),
    }
    with (project.folder / "pyproject.toml").open("a", encoding="utf-8") as table:
        table.write("expect = { a = 1 }\n")
    return {
        **results,
        "push before it": run_command(write.acr, project, "image.push", *ACR),
        "another smoke-test": run_command(write.acr, project, "image.smoke-test", *ACR),
        "push": run_command(write.acr, project, "image.push", *ACR),
    }


def test_a_quick_build(commands: Mapping[str, Walk]) -> None:
    """With a local engine and nothing to cache below the code, the run is a quick build."""
    result = commands[HERE]["build"]

    context = result.records["build.json"]["context_sha256"]
    assert quick_build(result.project.folder.name, context) == body(result)


def test_build(commands: Mapping[str, Walk]) -> None:
    """Build pushes a candidate and no final tag; --echo shows the command of the Azure CLI."""
    result = commands[HERE]["build"]
    digest, name = next(iter(result.candidates)), f"{result.acr.login_server}/{result.project.folder.name}"

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n", {}) == (*result.out, result.tags), result.ended.stderr
    assert f"{name}/candidate@{digest}\n" == result.ended.stdout
    assert result.messages == [
        ENGINE,
        "build context: 1 file, SIZE, sha256 HASH",
        "invoke image.context --engine acr | tar --extract --one-top-level=context",
        (
            "az acr build --registry REGISTRY --timeout 3600 --image 'NAME/candidate:{{.Run.ID}}' "
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
        "context_sha256": result.the_run.request["arguments"][0]["value"],
        "user": "dockeruser",
        "candidate": f"{name}/candidate@{digest}",
        "run": result.the_run.id,
        "waiting": [],
        "version": "1.0",
    }
    record = dict(result.records["build.json"])
    inputs = (list(record.pop("fingerprint_parts")), record.pop("installed_at") > 0)
    assert (["build.json"], expected, (PARTS, True)) == (list(result.records), record, inputs)


def test_push_before_the_smoke_test(commands: Mapping[str, Walk]) -> None:
    """An image that has not passed its smoke test is not pushed: exit code 5."""
    result = commands[HERE]["push before it"]

    expected = [
        FOUND,
        "REGISTRY/NAME:1.0 (sha256:ID) has not passed its smoke test.",
        "    invoke image.smoke-test --engine acr",
        "    or push it anyway: invoke image.push --engine acr --untested",
        "Nothing was pushed.",
    ]
    assert (5, "", expected, {}) == (*result.out, result.messages, result.tags)
    assert commands[HERE]["build"].records == result.records


def test_push_by_another_engine(commands: Mapping[str, Walk]) -> None:
    """An image that another engine has built is not pushed: exit code 4."""
    result = commands[HERE]["push by docker"]

    expected = [
        "REGISTRY/NAME:1.0 was built by the engine acr, not by docker.",
        "    Add: --engine acr",
        "Nothing was pushed.",
    ]
    assert (4, "", expected) == (*result.out, result.messages)
    assert {} == result.tags


def test_push_to_another_registry(commands: Mapping[str, Walk], registry: plain_registry.Registry) -> None:
    """A candidate cannot be pushed to another registry: exit code 6."""
    result = commands[HERE]["push elsewhere"]

    expected = [
        "The image was built in REGISTRY, not in OTHER.",
        "    invoke image.build --engine acr --registry OTHER",
        "Nothing was pushed.",
    ]
    told = result.ended.stderr.replace(registry.host, "OTHER")
    assert (6, "", expected) == (*result.out, normalize(told, result.project, result.acr).splitlines())
    assert (commands[HERE]["build"].records, {}) == (result.records, result.tags)


def test_smoke_test(commands: Mapping[str, Walk]) -> None:
    """The candidate is pulled by its digest, smoke-tested locally and removed; --echo shows each command."""
    result = commands[HERE]["smoke-test"]

    report = """\
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after N s
    request 1: 200 in p50 N s, p95 N s of 10
    peak memory N MiB
"""
    assert (0, report) == result.out, result.ended.stderr
    assert result.messages == [
        ENGINE,
        FOUND,
        "docker pull REGISTRY/NAME/candidate@sha256:ID",
        "pulling REGISTRY/NAME/candidate@sha256:ID",
        (
            "docker run --detach --name CONTAINER --label azureml-tasks.smoke-test=1 --label azureml-tasks.run=ID "
            "--publish 127.0.0.1::5001 sha256:ID"
        ),
        "waiting for REGISTRY/NAME:1.0 to answer, 310 s at most",
        "docker rm --force --volumes CONTAINER",
        "docker rmi REGISTRY/NAME/candidate@sha256:ID",
    ]
    assert ["build.json", "smoke-test.json"] == list(result.records)
    assert commands[HERE]["build"].records["build.json"] == result.records["build.json"]
    assert (commands[HERE]["build"].candidates, {}) == (result.candidates, result.tags)


def test_push(commands: Mapping[str, Walk]) -> None:
    """Push copies the candidate to its final tag and deletes it; --echo shows each command."""
    result = commands[HERE]["push"]
    digest = result.records["build.json"]["id"]

    assert (0, "REGISTRY/NAME@sha256:ID\n") == result.out, result.ended.stderr
    assert result.messages == [
        FOUND,
        f"{BY_DIGEST} NAME:{kept_tag(digest)}",
        f"{BY_DIGEST} NAME:1.0 --force",
        "az acr repository delete --name REGISTRY --image NAME/candidate@sha256:ID --yes",
        "deleted the candidate image REGISTRY/NAME/candidate@sha256:ID",
    ]
    assert (dict.fromkeys(("1.0", kept_tag(digest)), digest), frozenset()) == (result.tags, result.candidates)
    assert result.tags["1.0"] == result.ended.stdout.strip().partition("@")[2]
    assert ["build.json", "result.json", "smoke-test.json"] == list(result.records)
    assert ("", []) == (result.records["build.json"]["candidate"], result.records["build.json"]["waiting"])


def test_push_again(commands: Mapping[str, Walk]) -> None:
    """After the candidate is deleted, a second push has the same result."""
    first, again = commands[HERE]["push"], commands[HERE]["push again"]

    assert (first.out, first.tags, first.candidates, first.records) == (
        again.out,
        again.tags,
        again.candidates,
        again.records,
    )


def test_build_without_waiting(commands: Mapping[str, Walk]) -> None:
    """--no-wait prints and records the ID of the run, and shows how to follow it."""
    result = commands[CLOUD]["build"]

    assert (0, "RUN\n") == result.out
    assert [
        IN_THE_CLOUD,
        FOUND,
        *LOOK,
        "to follow it to its end: invoke image.resume --run RUN --engine acr",
    ] == result.messages
    registry = result.acr.login_server
    started = {
        "run": result.ended.stdout.strip(),
        "registry": registry,
        "names": [f"{registry}/{result.project.folder.name}:1.0"],
        "installed_at": 0,
    }
    assert {"runs.json": {"runs": [started]}} == result.records


def test_resume_on_another_machine(commands: Mapping[str, Walk]) -> None:
    """A machine without records needs only the ID of the run; its records are then those of a build."""
    result = commands[CLOUD]["resume"]
    digest, name = next(iter(result.candidates)), f"{result.acr.login_server}/{result.project.folder.name}"

    assert (0, f"{name}/candidate@{digest}\n") == (result.ended.code, result.ended.stdout), (
        result.ended.stderr
    )
    assert [IN_THE_CLOUD, FOUND, BUILT, "built sha256:ID"] == result.messages
    assert ["build.json", "probe-events.json"] == list(result.records)
    built = result.records["build.json"]
    assert (digest, commands[CLOUD]["build"].ended.stdout.strip()) == (built["id"], built["run"])
    assert ("dockeruser", [f"{name}:1.0"]) == (built["user"], built["names"])


def test_the_smoke_test_of_the_build_is_not_repeated(commands: Mapping[str, Walk]) -> None:
    """The smoke test of the run that built the image is not repeated."""
    result = commands[CLOUD]["smoke-test"]

    report = """\
REGISTRY/NAME:1.0 passed its smoke test (sha256:ID, in the cloud, by run RUN).
    ready after N s
    request 1: 200 in p50 N s, p95 N s of 10
    peak memory N MiB
"""
    assert (0, report, [IN_THE_CLOUD, FOUND]) == (*result.out, result.messages), result.ended.stderr
    assert not [request for request in result.requests if request.path.endswith("/scheduleRun")]
    assert f"by run {commands[CLOUD]['build'].ended.stdout.strip()})" in result.ended.stdout


def test_push_after_the_smoke_test_has_changed(commands: Mapping[str, Walk]) -> None:
    """A pass of another smoke test does not count."""
    result = commands[CLOUD]["push before it"]

    expected = [
        FOUND,
        "REGISTRY/NAME:1.0 (sha256:ID) passed another smoke test than the table and its files ask for now.",
        "    invoke image.smoke-test --engine acr",
        "    or push it anyway: invoke image.push --engine acr --untested",
        "Nothing was pushed.",
    ]
    assert (5, "", expected, {}) == (*result.out, result.messages, result.tags)


def test_smoke_test_by_a_run_of_its_own(commands: Mapping[str, Walk]) -> None:
    """A changed smoke test runs in a run of its own that builds and pushes nothing."""
    result = commands[CLOUD]["another smoke-test"]

    assert (0, commands[CLOUD]["smoke-test"].out[1]) == result.out, result.ended.stderr
    assert [IN_THE_CLOUD, FOUND, *LOOK] == result.messages
    _, _, rest = TASK.partition('  - id: "server"\n')
    probing, _, _ = rest.partition('  - id: "push"\n')
    expected = f'version: v1.1.0\nstepTimeout: 3600\nsteps:\n  - id: "server"\n{probing}'
    by_digest = expected.replace(":{{.Run.ID}}", "@sha256:ID")
    assert by_digest == body(result)["encodedTaskContent"]
    assert [] == result.the_run.output_images
    assert commands[CLOUD]["resume"].candidates == result.candidates


def test_push_after_the_smoke_test_of_its_own(commands: Mapping[str, Walk]) -> None:
    """After the changed smoke test, the image is pushed with the digest of the run that built it."""
    result = commands[CLOUD]["push"]

    assert (0, "REGISTRY/NAME@sha256:ID\n") == result.out, result.ended.stderr
    (digest,) = commands[CLOUD]["resume"].candidates
    assert (dict.fromkeys(("1.0", kept_tag(digest)), digest), frozenset()) == (result.tags, result.candidates)


def test_resume_the_last_run(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Without an ID, resume follows the last run that was started here; afterwards there is none."""
    project = remote_projects(tiny_base)
    assert run_command(remote_projects.acr, project, "image.build", *ACR, "--no-wait").ended.code == 0
    result = run_command(remote_projects.acr, project, "image.resume", *ACR)
    again = run_command(remote_projects.acr, project, "image.resume", *ACR)

    assert (0, "REGISTRY/NAME/candidate@sha256:ID\n") == result.out, result.ended.stderr
    assert ["build.json"] == list(result.records)
    expected = [
        ENGINE,
        "No remote build of this project is unfinished.",
        "    Name one: invoke image.resume --run ID --engine acr",
        "Nothing was built.",
    ]
    assert (4, "", expected) == (*again.out, again.messages)


@pytest.mark.parametrize("words", [("image.build", "--no-wait"), ("image.resume", "--run", "ca1")])
def test_a_local_engine_is_refused(
    words: tuple[str, ...],
    remote_projects: RemoteProjects,
    tiny_base: str,
) -> None:
    """--no-wait and resume need a remote build: exit code 2."""
    result = run_command(remote_projects.acr, remote_projects(tiny_base), *words)

    asked = "--no-wait" if "--no-wait" in words else "resume"
    expected = [
        f"{asked}: is for remote builds, and the engine is docker",
        "    Add: --engine acr",
        "",
        "1 problem; nothing was built.",
    ]
    assert (2, "", expected) == (*result.out, result.messages)


DELETES, KEEPS = frozenset({"pull", "push", "delete"}), frozenset({"pull", "push"})


def test_clean_deletes_every_candidate(remote_projects: RemoteProjects, tiny_base: str) -> None:
    """Without the permission to delete, push succeeds with a warning; clean later deletes all candidates."""
    acr, project = remote_projects.acr, remote_projects(tiny_base)
    first = run_command(acr, project, "image.build", *ACR)
    (project.folder / "code/score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return 1\n")
    second = run_command(acr, project, "image.build", *ACR)
    acr.settings.caller_actions = {"*": KEEPS}
    pushed = run_command(acr, project, "image.push", *ACR, "--untested")
    dry = run_command(acr, project, "--dry", "image.clean")
    acr.settings.caller_actions = {"*": DELETES}
    cleaned = run_command(acr, project, "image.clean")

    digests = [result.records["build.json"]["id"] for result in (first, second)]
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
    assert (0, "REGISTRY/NAME@sha256:ID\n", [FOUND, *warning]) == (*pushed.out, pushed.messages)
    assert f"--image {name}/candidate@{digests[1]}\n" in pushed.ended.stderr
    assert (second.records["build.json"], frozenset(digests)) == (
        pushed.records["build.json"],
        pushed.candidates,
    )
    folder = project.folder / ".azureml-image"
    delete = f"az acr repository delete --name {acr.login_server} --image {name}/candidate@"
    commands = [f"{delete}{digest} --yes" for digest in digests]
    assert (0, [*commands, f"rm -r {folder}"]) == (dry.ended.code, dry.ended.stdout.splitlines())
    assert () == dry.requests
    removed = [f"removed {acr.login_server}/{name}/candidate@{digest}" for digest in digests]
    assert (0, [*removed, "removed .azureml-image"]) == (
        cleaned.ended.code,
        cleaned.ended.stdout.splitlines(),
    )
    tags = dict.fromkeys(("1.0", kept_tag(digests[1])), digests[1])
    assert (tags, frozenset(), {}) == (cleaned.tags, cleaned.candidates, cleaned.records)
