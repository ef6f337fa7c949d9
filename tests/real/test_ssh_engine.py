"""An engine by SSH: a real sshd of this machine, and the ssh program with a configuration of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.machine import apt
from tests.real.small_project import small_project
from tests.real.support import Ended, consumer, environment_for, removed_after, unique

if TYPE_CHECKING:
    import docker

    from tests.machine.clients import Client

SSHD = """\
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
SetEnv DOCKER_HOST={engine} "PATH={path}" HOME={folder}
"""
"""With another HOME, the shell of each connection reads no start-up files of this user."""
CLIENT = """\
Host builder
    HostName 127.0.0.1
    Port {port}
    IdentityFile {folder}/user
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine with an engine, which is this one.

    Args:
        folder: with the keys, the configuration of ssh and `known`, the known hosts.
        programs: folder of an `ssh` that reads that configuration, and not the user's own.
    """

    folder: Path
    programs: Path


@pytest.fixture(scope="module")
def machine(engine: str, clients: Mapping[str, Client]) -> Iterator[Machine]:
    """An sshd that lets this user alone in, by a key; it serves each connection by itself, like inetd."""
    apt.need({"sshd": "openssh-server", "ssh": "openssh-client"}, why="an engine by SSH")
    sshd, ssh = (shutil.which(name, path=apt.PATH) for name in ("sshd", "ssh"))
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates its privileges
    with (
        tempfile.TemporaryDirectory(prefix="ssh-") as name,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        folder, port = Path(name), listener.getsockname()[1]
        for key in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True
            )
        path = os.pathsep.join([str(clients["20.10"].folder), os.environ["PATH"]])
        settings = SSHD.format(folder=folder, engine=engine, path=path)
        (folder / "sshd_config").write_text(settings, encoding="utf-8")
        (folder / "config").write_text(CLIENT.format(folder=folder, port=port), encoding="utf-8")
        host_key = (folder / "host.pub").read_text(encoding="utf-8")
        (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}", encoding="utf-8")
        programs = folder / "programs"
        programs.mkdir()
        (programs / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {folder}/config "$@"\n', encoding="utf-8")
        (programs / "ssh").chmod(0o755)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    words = [str(sshd), "-i", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
                    number = connection.fileno()
                    child = subprocess.Popen(words, stdin=number, stdout=number, start_new_session=True)
                threading.Thread(target=child.wait, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield Machine(folder=folder, programs=programs)
        listener.shutdown(socket.SHUT_RDWR)


def environment(machine: Machine, by: str, clients: Mapping[str, Client], scratch: Path) -> dict[str, str]:
    """The environment of a machine without an engine, with ssh."""
    env = environment_for(by, clients, scratch)
    if by == "none":
        (scratch / "path-without-docker" / "sh").symlink_to("/bin/sh")
    path = os.pathsep.join([str(machine.programs), env["PATH"]])
    return {**env, "PATH": path, "DOCKER_HOST": "ssh://builder"}


@pytest.mark.parametrize("by", ["26.1-buildx", "none"])
def test_build_by_ssh(
    by: str,
    machine: Machine,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    amlenv_base: str,
    tmp_path: Path,
) -> None:
    """An image is built and found up to date; the alias of the configuration of ssh is enough.

    The image runs and is tested on the engine's machine, from inside its container, which any client does alike.
    """
    name = unique("ssh")
    files = small_project(name, amlenv_base)
    project = consumer(tmp_path / "project", files, environment(machine, by, clients, tmp_path))
    with removed_after(docker_client, f"{name}:1.0"):
        built = project.invoke("image.build", "--verbose")
        image_id = docker_client.images.get(f"{name}:1.0").id
        recorded = project.record("build.json")["id"]
        same = project.invoke("image.build")
        if by == "none":
            tested = project.invoke("image.smoke-test")
            assert tested.code == 0, tested.stderr
        cleaned = project.invoke("image.clean")

    assert (0, 0, 0) == (built.code, same.code, cleaned.code), built.stderr + cleaned.stderr
    version = docker_client.version()["Version"]
    assert f'Docker engine {version} (ssh://builder, context "default")' in built.stderr
    assert image_id == recorded
    assert "nothing to build: " in same.stderr


@pytest.mark.parametrize(
    ("host", "known", "reason"),
    [
        ("ssh://builder", False, "Host key verification failed."),
        ("ssh://nobody@builder", True, "nobody@127.0.0.1: Permission denied (publickey)."),
        ("ssh://builder:1", True, "ssh: connect to host 127.0.0.1 port 1: Connection refused"),
    ],
)
def test_an_engine_that_ssh_does_not_reach(
    host: str, known: bool, reason: str, machine: Machine, tmp_path: Path
) -> None:
    """The words of ssh are shown, of a host that is not known, a key that is refused, and a wrong port."""
    env = {**environment(machine, "none", {}, tmp_path), "DOCKER_HOST": host}
    if not known:
        text = (machine.folder / "config").read_text(encoding="utf-8")
        programs = tmp_path / "programs"
        programs.mkdir()
        (programs / "config").write_text(text.replace("/known", "/unknown"), encoding="utf-8")
        wrapped = (machine.programs / "ssh").read_text(encoding="utf-8")
        wrapped = wrapped.replace(f"{machine.folder}/config", f"{programs}/config")
        (programs / "ssh").write_text(wrapped, encoding="utf-8")
        (programs / "ssh").chmod(0o755)
        env["PATH"] = os.pathsep.join([str(programs), env["PATH"]])
    files = small_project("unreached", "any:1")
    project = consumer(tmp_path / "project", files, env)

    built, checked = project.invoke("image.build"), project.invoke("image.check")

    expected = f"""\
Docker's engine cannot be reached by ssh (DOCKER_HOST names {host}).
    Check that docker's client reaches it: docker --host {host} version
    or, for the engine of docker's current context: unset DOCKER_HOST
    ssh said: {reason}
Nothing was built.
"""
    assert Ended(code=3, stdout="", stderr=expected) == built
    assert 3 == checked.code
    assert expected.removesuffix("Nothing was built.\n") in checked.stderr


def test_without_ssh(tmp_path: Path) -> None:
    """A machine without ssh is told what to install."""
    env = {**environment_for("none", {}, tmp_path), "DOCKER_HOST": "ssh://builder"}
    files = small_project("unreached", "any:1")

    built = consumer(tmp_path / "project", files, env).invoke("image.build")

    expected = """\
There is no ssh on PATH, which leads to ssh://builder.
    On Debian and Ubuntu: sudo apt-get install openssh-client
Nothing was built.
"""
    assert Ended(code=3, stdout="", stderr=expected) == built
