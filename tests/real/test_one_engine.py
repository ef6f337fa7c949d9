"""One engine for a whole run, whatever docker's configuration lacks: the one that `describe` names."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.project.load import load
from azureml_tasks.state.records import Records
from tests.real.small_project import copy, small_project
from tests.real.support import consumer, environment_for, removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry


@dataclass(kw_only=True)
class Forwarder:
    """A socket that leads to an engine.

    Args:
        path: of the socket.
        requests: the first line of each block that was sent to it.
    """

    path: Path
    requests: list[str] = field(default_factory=list)


@contextmanager
def forwarded(engine: str) -> Iterator[Forwarder]:
    """Forward a socket to that of *engine*; a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="engine-") as folder, socket.socket(socket.AF_UNIX) as listener:
        forwarder = Forwarder(path=Path(folder, "s"))
        listener.bind(str(forwarder.path))
        listener.listen()

        def note(near: socket.socket, far: socket.socket) -> None:
            with suppress(OSError):
                while data := near.recv(65536):
                    forwarder.requests.append(data.split(b"\r\n")[0].decode(errors="replace"))
                    far.sendall(data)
            with suppress(OSError):
                far.shutdown(socket.SHUT_WR)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(engine.removeprefix("unix://"))
                    threading.Thread(target=note, args=(near, far), daemon=True).start()
                    threading.Thread(target=copy, args=(far, near), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield forwarder
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("by", "configuration"),
    [("20.10", "no file"), ("none", "no file"), ("none", "another file at home")],
)
def test_a_context_without_a_configuration(
    configuration: str,
    by: str,
    engine: str,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tiny_base: str,
    registry: Registry,
    tmp_path: Path,
) -> None:
    """Build and push ask the engine of the context alone; no other address is tried by anybody.

    Docker's SDK by itself looks for contexts beside a config.json, of the home folder if DOCKER_CONFIG has none.
    """
    name = unique("context")
    with (
        forwarded(engine) as forwarder,
        removed_after(docker_client, f"{name}:1.0", f"{registry.host}/{name}:1.0"),
    ):
        env = environment_for(by, clients, tmp_path)
        folder = tmp_path / "docker-config"
        described = {"Name": "other", "Endpoints": {"docker": {"Host": f"unix://{forwarder.path}"}}}
        meta = folder / "contexts" / "meta" / sha256(b"other").hexdigest() / "meta.json"
        meta.parent.mkdir(parents=True)
        meta.write_text(json.dumps(described), encoding="utf-8")
        home = tmp_path / "home"
        home.mkdir()
        if configuration == "another file at home":
            (home / ".docker").mkdir()
            (home / ".docker" / "config.json").write_text(
                '{"proxies": {"default": {"httpProxy": "http://x"}}}'
            )
        env |= {"DOCKER_CONTEXT": "other", "HOME": str(home), "DOCKER_CONFIG": str(folder)}
        env.pop("DOCKER_HOST", None)
        files = small_project(name, tiny_base)
        project = consumer(tmp_path / "project", files, env)

        built = project.invoke("image.build", "--verbose")
        records = Records(folder=project.folder / ".azureml-image")
        smoke_test = load(project.folder, {}).facts.smoke_test
        records.write_pass(records.read_build(), smoke_test.sha256, {"passed": True})
        pushed = project.invoke("image.push", "--registry", registry.host)

    assert (0, 0) == (built.code, pushed.code), built.stderr + pushed.stderr
    assert f'(unix://{forwarder.path}, context "other")' in built.stderr
    kinds = {"/build", "/push", "/tag"} if by == "none" else {"/push", "/tag"}
    assert kinds <= {kind for kind in kinds if any(kind in request for request in forwarder.requests)}


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize("by", ["20.10", "26.1", "26.1-buildx", "none"])
def test_proxies_reach_builds(
    by: str,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tiny_base: str,
    tmp_path: Path,
) -> None:
    """Each builder gives a build the proxies of docker's configuration, which are no part of the image."""
    name = unique("proxies")
    shows = f"echo {name} [$HTTP_PROXY] [$https_proxy] [$no_proxy]"
    proxies = {"httpProxy": PROXY, "httpsProxy": PROXY, "noProxy": "localhost"}
    env = environment_for(by, clients, tmp_path)
    config = tmp_path / "docker-config"
    config.mkdir(exist_ok=True)
    (config / "config.json").write_text(json.dumps({"proxies": {"default": proxies}}), encoding="utf-8")
    project = consumer(
        tmp_path / "project", small_project(name, tiny_base, shows), {**env, "DOCKER_CONFIG": str(config)}
    )
    with removed_after(docker_client, f"{name}:1.0"):
        built = project.invoke("image.build")
        variables = docker_client.images.get(f"{name}:1.0").attrs["Config"]["Env"]

    assert 0 == built.code, built.stderr
    assert f"{name} [{PROXY}] [{PROXY}] [localhost]" in built.stderr
    assert [] == [each for each in variables if "proxy" in each.lower()]


def test_buildx_experimental(
    docker_client: docker.DockerClient, clients: Mapping[str, Client], tiny_base: str, tmp_path: Path
) -> None:
    """With this variable buildx would wait for ever for a build context from stdin."""
    name = unique("experimental")
    files = small_project(name, tiny_base)
    project = consumer(tmp_path / "project", files, environment_for("26.1-buildx", clients, tmp_path))
    with removed_after(docker_client, f"{name}:1.0"):
        built = project.invoke("image.build", env={"BUILDX_EXPERIMENTAL": "1"})

    assert (0, f"{name}:1.0\n") == (built.code, built.stdout), built.stderr


@pytest.mark.parametrize(
    ("config", "helper", "code", "reason"),
    [
        ({"credsStore": "own"}, None, 3, 'which "credsStore" of FILE names, is not on PATH.'),
        (
            {"credsStore": "own"},
            "echo 'not found: 404'; exit 1",
            6,
            'which "credsStore" of FILE names, failed with exit code 1.',
        ),
        (
            {"credsStore": "own"},
            "echo '<html>'",
            6,
            'which "credsStore" of FILE names, did not answer with a JSON object of Username and Secret.',
        ),
    ],
)
def test_a_helper_that_fails_before_a_pull(
    config: dict[str, str],
    helper: str | None,
    code: int,
    reason: str,
    registry: Registry,
    engine: str,
    tmp_path: Path,
) -> None:
    """The helper is named, and not the engine or the registry, which is not asked."""
    del engine
    base = f"{registry.host}/absent:1"
    env = environment_for("none", {}, tmp_path)
    for program in ("sh", "cat"):
        (tmp_path / "path-without-docker" / program).symlink_to(str(shutil.which(program)))
    if helper:
        program_file = tmp_path / "path-without-docker" / "docker-credential-own"
        program_file.write_text(f"#!/bin/sh\ncat >/dev/null\n{helper}\n", encoding="utf-8")
        program_file.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    files = small_project("helped", base)
    project = consumer(tmp_path / "project", files, {**env, "DOCKER_CONFIG": str(tmp_path)})

    built = project.invoke("image.build")

    expected = reason.replace("FILE", str(tmp_path / "config.json"))
    first = f"The credential helper docker-credential-own, {expected} Registry {registry.host} was not asked."
    assert (code, "") == (built.code, built.stdout)
    assert first in built.stderr.splitlines()
