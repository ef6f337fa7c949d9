"""An image that serves for a block of Python, on the real engine."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest

import azureml_tasks
from azureml_tasks.engines.docker.leftovers import LABEL
from tests.real.smoke_image import with_smoke_test
from tests.real.support import Consumer

REQUESTS = 'requests = [{ body = { do = "echo", value = 1 }, expect = 1 }]\nrepeat = 1\n'
KILLED = """\
import os, signal, sys, azureml_tasks
steps = []
with azureml_tasks.serving(sys.argv[1], progress=lambda event: event.result and steps.append(event.result.status)):
    print(steps, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def project(
    smoke_project: Consumer, no_container_is_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a project whose image is built, and echoes."""
    del no_container_is_left
    copy = with_smoke_test(smoke_project, tmp_path, REQUESTS)
    for name in ("DOCKER_HOST", "DOCKER_CONFIG", "PATH", "XDG_STATE_HOME"):
        if name in copy.env:
            monkeypatch.setenv(name, copy.env[name])
    return copy.folder


def test_a_proven_image_serves_for_a_block(
    project: Path, docker_client: docker.DockerClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is tested the first time; what a killed process has left is removed; the block has a server nobody has asked.

    Nothing is printed, and an error of the block goes on as it is.
    """
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(project)], capture_output=True, text=True, check=False
    )
    containers = docker_client.containers
    (left,) = containers.list(filters={"label": LABEL, "ancestor": f"{project.name}:1.0"})
    events: list[azureml_tasks.Progress] = []
    counts: list[object] = []

    def ask() -> None:
        with azureml_tasks.serving(project, progress=events.append) as server:
            (container,) = containers.list(filters={"label": LABEL, "ancestor": server.id})
            assert container.id != left.id
            counts.extend(server.post(json={"do": "count"}).json() for _ in range(2))
            counts.append(
                (server.post(json={"do": "look up"}).status_code, "KeyError: 'age'" in server.log())
            )
            raise OSError("of the block")

    with pytest.raises(OSError, match="of the block"):
        ask()

    assert (-signal.SIGKILL, "['passed']\n") == (killed.returncode, killed.stdout), killed.stderr
    assert f"removed what a killed run left: container {left.name}" in [event.text for event in events]
    assert [{"calls": 1}, {"calls": 2}, (500, True)] == counts
    assert [] == [event.result for event in events if event.result]
    assert ("", "") == tuple(capfd.readouterr())
