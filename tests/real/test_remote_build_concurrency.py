"""Several releases at the same time."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import docker

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.publishing import kept_tag
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.leftovers import tracked_run
from azureml_tasks.engines.docker.pull import pulled_image
from tests.machine import registry as plain_registry
from tests.machine.acr.faults import Hold
from tests.real.pushed import digest_of
from tests.real.remote_output import ACR, SECONDS
from tests.real.remote_projects import RemoteProjects, copied, result_of, run_command
from tests.real.support import Ended, started_command, unique


def test_two_releases_of_the_same_image(
    remote_projects: RemoteProjects,
    amlenv_base: str,
    tmp_path: Path,
) -> None:
    """Two releases of one built image end with its digest, and both delete its candidate."""
    acr, project = remote_projects.acr, remote_projects(amlenv_base)
    built = run_command(acr, project, "image.build", *ACR)
    clone = copied(project, tmp_path / "second")
    holds = Hold(), Hold()
    for hold in holds:
        acr.faults.add(f"DELETE /v2/{project.folder.name}/candidate/manifests/", hold)
    with started_command(project, "image.release", *ACR) as first:
        # Its smoke test has ended then, so that it takes no pulled image from that of the other.
        assert holds[0].reached.wait(SECONDS)
        with started_command(clone, "image.release", *ACR) as second:
            assert holds[1].reached.wait(SECONDS)
            for hold in holds:
                hold.release()
            outs = [running.communicate() for running in (first, second)]

    codes = [first.returncode, second.returncode]
    reference = f"{acr.login_server}/{project.folder.name}@{built.records['build.json']['id']}"
    assert ([0, 0], [reference, reference]) == (codes, [out.splitlines()[-1] for out, _ in outs]), outs
    digest = built.records["build.json"]["id"]
    assert dict.fromkeys(("1.0", kept_tag(digest)), digest) == acr.tags(project.folder.name)
    assert {} == acr.tags(f"{project.folder.name}/candidate")


def test_two_releases_of_different_files(
    remote_projects: RemoteProjects,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """A push whose tag is moved by another before it is confirmed fails: exit code 6."""
    acr, project = remote_projects.acr, remote_projects(tiny_base)
    clone = copied(project, tmp_path / "second")
    (clone.folder / "code/score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return 1\n")
    slow, fast = (run_command(acr, each, "image.build", *ACR) for each in (project, clone))
    hold = Hold()
    acr.faults.add(f"GET /v2/{project.folder.name}/manifests/1.0", hold)
    with started_command(project, "image.push", *ACR, "--untested") as first:
        assert hold.reached.wait(SECONDS)
        second = run_command(acr, clone, "image.push", *ACR, "--untested")
        hold.release()
        out, error = first.communicate()
    result = result_of(acr, project, Ended(code=first.returncode, stdout=out, stderr=error))

    mine, theirs = slow.records["build.json"]["id"], fast.records["build.json"]["id"]
    assert (0, f"{acr.login_server}/{project.folder.name}@{theirs}\n") == (
        second.ended.code,
        second.ended.stdout,
    )
    expected = [
        f"REGISTRY/NAME:1.0 is {theirs}, not {mine}: someone else pushed this tag at the same time.",
        "    Push again, or use another tag: --tag",
        (
            f"Pushed: {kept_tag(mine)}. The image is in the registry as NAME@{mine}; the tag names another one. "
            f"The image is still in the registry as REGISTRY/NAME/candidate@{mine}. "
            "Continue with: invoke image.push --engine acr --untested"
        ),
    ]
    lines = error.replace(acr.login_server, "REGISTRY").replace(project.folder.name, "NAME").splitlines()
    assert (6, "", expected) == (result.ended.code, result.ended.stdout, lines[-3:])
    tags = {"1.0": theirs, kept_tag(mine): mine, kept_tag(theirs): theirs}
    assert (tags, frozenset({mine}), ["build.json"]) == (
        result.tags,
        result.candidates,
        list(result.records),
    )
    assert mine == f"sha256:{hashlib.sha256(acr.manifest(project.folder.name, mine)).hexdigest()}"


def test_a_pulled_image_in_use_is_kept(
    docker_client: docker.DockerClient, tiny_base: str, registry: plain_registry.Registry, tmp_path: Path
) -> None:
    """A pulled image that a container of another smoke test uses is kept, without an error."""
    name = f"{registry.host}/{unique('pulled')}"
    image, _ = docker_client.images.build(
        fileobj=io.BytesIO(f"FROM {tiny_base}\nLABEL of={name}\n".encode()),
        tag=f"{name}:1",
        rm=True,
        nocache=True,
    )
    docker_client.images.push(name, tag="1")
    by_digest = f"{name}@{digest_of(registry, name.partition('/')[2], '1')}"
    docker_client.images.remove(f"{name}:1")
    containers = []
    try:
        with (
            tracked_run(connect(), tmp_path, Console()) as run,
            pulled_image(connect(), by_digest, lambda: ("", ""), Console(), run) as pulled,
        ):
            containers.append(docker_client.containers.run(pulled, ["sleep", "600"], detach=True))
        assert image.id == pulled == docker_client.images.get(by_digest).id
    finally:
        for container in containers:
            container.remove(force=True)
        docker_client.images.remove(by_digest, force=True)
    assert [] == docker_client.images.list(name=name)
