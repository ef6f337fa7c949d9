"""What killed commands leave: the next command of the project removes it, and nothing else."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.leftovers import keep_image, temporary_reference, tracked_run
from tests.machine import invoke_cli
from tests.machine.clients import Client
from tests.real.smoke_image import with_smoke_test
from tests.real.support import Consumer, consumer, environment_for, removed_after, unique

NEVER_READY = 'env = { HOW = "init never ends" }\n'
TABLE = """\
[project]
name = "NAME"
version = "1"

[tool.azureml-image]
base = "BASE"
model = "model"
run = [{ after = "pip", command = "echo NAME: this step waits; sleep 600" }]
labels = { of = "NAME" }
"""
FILES: Mapping[str, str | bytes] = {
    "code/score.py": "def init(): pass\ndef run(data): return data\n",
    "model/weights.bin": os.urandom(5_000_000),
}
RUNS = "azureml-tasks.run"
ENDS = 60.0
"""Seconds for a process that was told to end."""


def containers(client: docker.DockerClient, project: Consumer) -> list[str]:
    """Return the names of the containers of the image that the project built."""
    of = {"ancestor": project.record("build.json")["id"]}
    return [
        container["Names"][0].removeprefix("/") for container in client.api.containers(all=True, filters=of)
    ]


def steps(client: docker.DockerClient, name: str) -> list[str]:
    """Return the containers of the step that waits, of the build of this project."""
    return [
        container["Id"]
        for container in client.api.containers(all=True)
        if f"{name}: this step" in container["Command"]
    ]


def images(client: docker.DockerClient, name: str) -> list[dict[str, Any]]:
    """Return the images of this project, with a tag or without one."""
    return list(client.api.images(filters={"label": f"of={name}"}))


def _names(image: Mapping[str, Any]) -> list[str]:
    return [name for name in image["RepoTags"] or () if name != "<none>:<none>"]


def processes(project: Consumer) -> list[str]:
    """Return the commands in the folder of the project that do not end."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() != project.folder:
                continue
            line = (process / "cmdline").read_text(encoding="utf-8")
            number = os.pidfd_open(int(process.name))
        except OSError:  # It has ended, or is a process of the kernel.
            continue
        if not select.select([number], [], [], ENDS)[0]:
            commands.append(line)
        os.close(number)
    return commands


def test_the_container_of_a_killed_smoke_test(
    docker_client: docker.DockerClient, smoke_project: Consumer, tmp_path: Path
) -> None:
    """The next command removes it, and says so; a command of another project leaves it alone."""
    killed = with_smoke_test(smoke_project, tmp_path / "killed", NEVER_READY)
    other = with_smoke_test(smoke_project, tmp_path / "other", NEVER_READY)
    ended = killed.interrupted("image.smoke-test", at="310 s at most", by=signal.SIGKILL)
    (name,) = containers(docker_client, killed)
    label = docker_client.containers.get(name).labels[RUNS]
    besides = other.invoke("image.cache").stderr
    after_other = containers(docker_client, killed)
    stderr = killed.invoke("image.cache").stderr

    line = f"removed what a killed run left: container {name}\n"
    assert (-9, f"azureml-image-{label}-1", [name]) == (ended.code, name, after_other)
    assert (False, True, []) == (line in besides, line in stderr, containers(docker_client, killed))


def test_clean_removes_it_too(
    docker_client: docker.DockerClient, smoke_project: Consumer, tmp_path: Path
) -> None:
    """Also if nothing else is left of the project, and then there is nothing to remove."""
    killed = with_smoke_test(smoke_project, tmp_path, NEVER_READY)
    killed.interrupted("image.smoke-test", at="310 s at most", by=signal.SIGKILL)
    (name,) = containers(docker_client, killed)
    (killed.folder / ".azureml-image").rename(killed.folder / "moved")
    first, second = killed.invoke("image.clean"), killed.invoke("image.clean")

    nothing = "nothing to remove: there is no .azureml-image here\n"
    assert (0, f"removed container {name}\n") == (first.code, first.stdout)
    assert (0, "", nothing) == (second.code, second.stdout, second.stderr)


@pytest.mark.parametrize(
    ("client", "by"),
    [
        ("20.10", signal.SIGKILL),
        ("20.10", signal.SIGHUP),
        ("26.1-buildx", signal.SIGKILL),
        ("26.1-buildx", signal.SIGINT),
        ("26.1", signal.SIGKILL),
        ("26.1", signal.SIGTERM),
    ],
)
def test_a_killed_build(
    client: str,
    by: signal.Signals,
    clients: Mapping[str, Client],
    docker_client: docker.DockerClient,
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """No process, container, staged file or image is left; after kill -9 the next command removes them.

    Each builder is ended by kill -9 and by one of the signals that a command handles, all of which it handles alike.
    """
    name = unique("killed")
    table = TABLE.replace("NAME", name).replace("BASE", tiny_base)
    env = environment_for(client, clients, tmp_path)
    project = consumer(tmp_path / name, {**FILES, "pyproject.toml": table}, env)
    ended = project.interrupted("image.build", at="this step waits", by=by)
    if by == signal.SIGKILL:
        assert project.invoke("image.cache").code == 0
    staged = [path.name for path in (project.folder / ".azureml-image").glob("run-*")]

    code = -9 if by == signal.SIGKILL else 128 + by
    left = (staged, steps(docker_client, name), processes(project), images(docker_client, name))
    assert (code, ([], [], [], [])) == (ended.code, left)


def test_an_image_whose_name_another_build_took(
    docker_client: docker.DockerClient, tiny_base: str, tmp_path: Path
) -> None:
    """It stays without a name as the build ends, since it is recorded; of a build that failed it goes."""
    name, base = unique("taken"), str(docker_client.images.get(tiny_base).id)
    built = []
    for is_kept in (True, False):
        client = connect()
        with tracked_run(client, tmp_path, Console()) as run:
            text = f"FROM {tiny_base}\nLABEL of={name} kept={is_kept}\n"
            built.append(
                docker_client.images.build(
                    fileobj=io.BytesIO(text.encode()), tag=temporary_reference(run), rm=True, nocache=True
                )[0].id
            )
            if is_kept:
                keep_image(client, run, str(built[-1]), base)
    left = images(docker_client, name)
    for image in left:
        docker_client.images.remove(image["Id"])

    assert [(built[0], [])] == [(image["Id"], _names(image)) for image in left]
    assert tiny_base in docker_client.images.get(tiny_base).tags


def test_the_volumes_of_a_base(
    docker_client: docker.DockerClient, tiny_base: str, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """A look at a base that has a VOLUME, and a build on it, leave no volume behind."""
    name = unique("volumes")
    base = f"{name}-base:1"
    table = TABLE.replace("NAME", name).replace("BASE", base).replace("; sleep 600", "")
    with removed_after(docker_client, f"{name}:1", base):
        # A new volume gets what the image has in its place, by which those of this test are known.
        text = f"FROM {tiny_base}\nUSER root\nRUN mkdir /one && echo > /one/{name}\nVOLUME /one\n"
        docker_client.images.build(fileobj=io.BytesIO(text.encode()), tag=base, rm=True, nocache=True)
        for by in ("20.10", "26.1"):
            files = {**FILES, "pyproject.toml": table}
            project = consumer(tmp_path / by / name, files, environment_for(by, clients, tmp_path))
            ended = project.invoke("image.build")
            volumes = docker_client.api.volumes()["Volumes"] or ()
            left = [volume for volume in volumes if Path(volume["Mountpoint"], name).exists()]
            assert (0, []) == (ended.code, left), ended.stderr
            project.invoke("image.clean")


def test_a_closed_terminal(
    docker_client: docker.DockerClient, smoke_project: Consumer, tmp_path: Path
) -> None:
    """The terminal's end ends the command with 129, and the container is removed though nobody can be told."""
    project = with_smoke_test(smoke_project, tmp_path, NEVER_READY)
    primary, secondary = os.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", *invoke_cli.words(["image.smoke-test"])],
        cwd=project.folder,
        env=dict(project.env),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
    ) as process:
        os.close(secondary)
        output = b""
        while b"310 s at most" not in output:
            output += os.read(primary, 4096)
        os.close(primary)
        code = process.wait()

    assert (129, []) == (code, containers(docker_client, project))
