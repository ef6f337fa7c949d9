"""An engine that is killed while a command works on it: exit code 3, and nothing else is blamed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest

from tests.machine import bases, bridge, invoke_cli, own_engine
from tests.real.small_project import small_project
from tests.real.support import Consumer, Ended, consumer, environment_for

if TYPE_CHECKING:
    from tests.machine.clients import Client

WAITS = "echo beg''un; sleep 60"
"""The command prints a word that its own text does not hold."""


@pytest.fixture
def mortal(docker_client: docker.DockerClient, tmp_path: Path) -> Iterator[str]:
    """The address of an engine of the test's own, with the smallest base."""
    options = bridge.sharing()
    with own_engine.running(tmp_path / "data", options=options) as host:
        with closing(docker.DockerClient(base_url=host, timeout=60)) as client:
            bases.copy("tiny", docker_client, client)
        yield host


def kill(host: str, by: signal.Signals = signal.SIGKILL) -> None:
    """End the engine at *host*."""
    pid = Path(host.removeprefix("unix://")).with_name("docker.pid").read_text(encoding="utf-8")
    os.kill(int(pid), by)


@contextmanager
def started(project: Consumer, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start `invoke` in *project*."""
    invoke_cli.compiled()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        invoke_cli.words(words),
        cwd=project.folder,
        env=dict(project.env),
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
    ) as process:
        yield process


def read_until(process: subprocess.Popen[str], end: str) -> None:
    """Read what it says up to a line that ends in *end*."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.rstrip().endswith(end):
            return
    raise AssertionError("".join(lines))


def ended(process: subprocess.Popen[str], host: str) -> Ended:
    """Wait for the end, and keep the message alone: what comes from the first line that names the engine."""
    out, err = process.communicate()
    message = err[err.index(f"The engine at {host}") :].replace(host, "HOST")
    stderr = re.sub(r"(the connection failed: ).*", r"\1…", message)
    return Ended(code=process.returncode, stdout=out, stderr=stderr)


GONE = """\
The engine at HOST stopped answering.
    Check that it still runs: docker version
    the connection failed: …
"""


@pytest.mark.parametrize(
    ("by", "ends_by"),
    [
        ("20.10", signal.SIGKILL),
        ("26.1-buildx", signal.SIGTERM),
        ("none", signal.SIGKILL),
        ("none", signal.SIGTERM),
    ],
)
def test_killed_during_a_build_step(
    by: str, ends_by: signal.Signals, mortal: str, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """Docker's client only says that the step failed, but it is the engine that is gone."""
    env = {**environment_for(by, clients, tmp_path), "DOCKER_HOST": mortal}
    project = consumer(tmp_path / "project", small_project("mortal", command=WAITS), env)
    with started(project, "image.build") as process:
        read_until(process, "begun")
        kill(mortal, ends_by)
        result = ended(process, mortal)

    assert Ended(code=3, stdout="", stderr=f"{GONE}Nothing was built.\n") == result
    assert [] == project.records()


def test_killed_during_a_push(mortal: str, tmp_path: Path) -> None:
    """An engine that dies while the registry keeps it waiting is not the registry's refusal."""
    env = {**environment_for("none", {}, tmp_path), "DOCKER_HOST": mortal}
    project = consumer(tmp_path / "project", small_project("mortal", command="true"), env)
    assert 0 == project.invoke("image.build").code
    with socket.create_server(("127.0.0.1", 0)) as registry:
        registry.settimeout(300)  # A command that asks no registry shall fail the test, and not stop it.
        host = f"127.0.0.1:{registry.getsockname()[1]}"
        with started(project, "image.push", "--untested", "--registry", host) as process:
            connection, _ = registry.accept()
            with connection:
                kill(mortal)
                result = ended(process, mortal)

    assert (3, "") == (result.code, result.stdout)
    assert result.stderr.startswith(GONE)


def test_killed_during_a_smoke_test(mortal: str, tmp_path: Path) -> None:
    """An image whose engine dies while it starts has not failed its smoke test."""
    env = {**environment_for("none", {}, tmp_path), "DOCKER_HOST": mortal}
    project = consumer(tmp_path / "project", small_project("mortal", command="true"), env)
    assert 0 == project.invoke("image.build").code
    with started(project, "image.smoke-test") as process:
        read_until(process, " s at most")
        kill(mortal)
        result = ended(process, mortal)

    assert Ended(code=3, stdout="", stderr=f"{GONE}Nothing was tested.\n") == result
