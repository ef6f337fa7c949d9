"""Builds that fail: the whole message, the exit code, and nothing that stays."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.built_project import derived
from tests.real.support import (
    Ended,
    consumer,
    environment_for,
    left_containers,
    normal,
    removed_after,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry

FILES = {"code/score.py": "def init(): pass\ndef run(data): return data\n"}
HEAD = '[project]\nname = "failing"\nversion = "1"\n\n[tool.azureml-image]\n'
BEFORE = """\
ENGINE
build context: 1 file, SIZE, sha256 HASH
"""
CMD = "warning: the base's CMD is sleep 600, not runsvdir /var/runit\n"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a failing build runs on.

    Args:
        base: an image that no other test extends.
        client: the SDK's, to see what is left.
        clients: docker's command lines.
        scratch: a folder of the test's own.
    """

    base: str
    client: docker.DockerClient
    clients: Mapping[str, Client]
    scratch: Path

    def build(
        self, table: str, *flags: str, by: str = "none", env: Mapping[str, str] | None = None
    ) -> tuple[Ended, list[str]]:
        """Run `invoke image.build` with *table*.

        Returns:
            how it ended, its words made the same for every run; and what it left behind: records,
            temporary files, containers.
        """
        temporary = self.scratch / "tmp"
        temporary.mkdir()
        environment = environment_for(by, self.clients, self.scratch)
        files = {**FILES, "pyproject.toml": HEAD + table}
        project = consumer(
            self.scratch / "project", files, {**environment, "TMPDIR": str(temporary), **(env or {})}
        )
        ended = project.invoke("image.build", *flags)
        stderr = re.sub(
            r"^Docker engine .*$", "ENGINE", normal(ended.stderr, {self.base: "BASE"}), flags=re.MULTILINE
        )
        files_left = [path.name for path in temporary.iterdir()]
        left = [*project.records(), *files_left, *left_containers(self.client, self.base)]
        return replace(ended, stderr=stderr), left


@pytest.fixture(scope="module")
def own_base(docker_client: docker.DockerClient, tiny_base: str) -> Iterator[str]:
    """An image that only this module extends, so that each container of it is one of this module."""
    name = f"{unique('base')}:1"
    with removed_after(docker_client, name):
        derived(docker_client, name, f"FROM {tiny_base}\nLABEL own={name}\n")
        yield name


@pytest.fixture
def bench(
    own_base: str, docker_client: docker.DockerClient, clients: Mapping[str, Client], tmp_path: Path
) -> Bench:
    """What a failing build runs on."""
    return Bench(base=own_base, client=docker_client, clients=clients, scratch=tmp_path)


FAILED = {
    "20.10": "ERROR: COMMAND: exit code: 3",
    "26.1-buildx": "ERROR: COMMAND: exit code: 3",
    "26.1": "The command '/bin/sh -c echo one; echo two; exit 3 # $PATH' returned a non-zero code: 3",
}
# Engines of different age say it in different words.
COMMAND = r"executor failed running \[.*\]|process \".*\" did not complete successfully"


@pytest.mark.parametrize("by", FAILED)
def test_a_failing_step_is_shown_with_its_last_lines(bench: Bench, by: str) -> None:
    """With each builder the error names the step and its line, and has the lines of that step only."""
    table = f'base = "{bench.base}"\nrun = [{{ command = "echo one; echo two; exit 3 # $PATH" }}]\n'

    ended, left = bench.build(table, by=by)

    last = re.sub(COMMAND, "COMMAND", ended.stderr[ended.stderr.index("A build step failed") :])
    last = last.replace('# /bin"]', '# $PATH"]')  # BuildKit shows the value of a variable.
    expected = f"""\
A build step failed (pyproject.toml:7): RUN ["/bin/sh", "-c", "echo one; echo two; exit 3 # $PATH"]
    Look at the image before that step: invoke image.shell
    Its last lines say why:
    one
    two
    {FAILED[by]}
The whole log is in .azureml-image/build.log. Nothing was built.
"""
    assert (4, "", expected, []) == (ended.code, ended.stdout, last, left)


def test_a_base_that_its_registry_does_not_have(bench: Bench, registry: Registry) -> None:
    """The registry answers that it has no such image."""
    ended, left = bench.build(f'base = "{registry.host}/none:1"\n')

    expected = f"""\
{BEFORE}pulling 127.0.0.1:PORT/none:1 for linux/amd64
The base 127.0.0.1:PORT/none:1 does not exist.
    Look at its registry's list of tags, or name another base, in the table or by --base
    its registry said: manifest for 127.0.0.1:PORT/none:1 not found: manifest unknown: manifest unknown
Nothing was built.
"""
    assert (Ended(code=4, stdout="", stderr=expected), []) == (ended, left)


def test_a_base_whose_registry_does_not_answer(bench: Bench) -> None:
    """Nothing listens at the address of the base's registry."""
    ended, left = bench.build('base = "127.0.0.1:1/none:1"\n')

    expected = f"""\
{BEFORE}pulling 127.0.0.1:PORT/none:1 for linux/amd64
Registry 127.0.0.1:PORT could not be reached for the pull of 127.0.0.1:PORT/none:1: nothing listens at its address.
    Start it, or check the name: base = "…" in the table, or --base
    the engine said: Get "http://127.0.0.1:PORT/v2/": dial tcp 127.0.0.1:PORT: connect: connection refused
Nothing was built.
"""
    assert (Ended(code=6, stdout="", stderr=expected), []) == (ended, left)


def test_a_base_whose_registry_wants_a_login(bench: Bench, login_registry: Registry) -> None:
    """The base's registry refuses a pull without credentials."""
    ended, left = bench.build(f'base = "{login_registry.host}/none:1"\n')

    expected = f"""\
{BEFORE}pulling 127.0.0.1:PORT/none:1 for linux/amd64
Registry 127.0.0.1:PORT refused the pull of 127.0.0.1:PORT/none:1: you are not signed in (401).
    Sign in with: docker login 127.0.0.1:PORT
    the registry said: Head "http://127.0.0.1:PORT/v2/none/manifests/1": no basic auth credentials
Nothing was built.
"""
    assert (Ended(code=6, stdout="", stderr=expected), []) == (ended, left)


def test_a_base_for_another_platform(bench: Bench) -> None:
    """A base for another architecture is refused, which the legacy builder would accept."""
    name = f"{unique('arm')}:1"
    with removed_after(bench.client, name):
        bench.client.images.load(image_archive(name, architecture="arm64"))

        ended, left = bench.build(f'base = "{name}"\n', by="26.1")

    expected = f"""\
{BEFORE}The base NAME is made for linux/arm64, not for linux/amd64.
    Write: platform = "linux/arm64"
    or name a base that is made for linux/amd64
Nothing was built.
"""
    normalized = replace(ended, stderr=ended.stderr.replace(name, "NAME"))
    assert (Ended(code=4, stdout="", stderr=expected), []) == (normalized, left)


def test_a_base_without_the_runtime_user(bench: Bench) -> None:
    """A runtime user that the base does not have is refused before any step."""
    ended, left = bench.build(f'base = "{bench.base}"\nuser = "server"\n')

    expected = f"""\
{BEFORE}{CMD}The base BASE has no runtime user "server".
    Write: user = "dockeruser"
    or name a user that is not root, which the base has or a run makes: \
run = [{{ command = "useradd --create-home server" }}]
Nothing was built.
"""
    assert (Ended(code=4, stdout="", stderr=expected), []) == (ended, left)


def test_a_runtime_user_that_is_root_by_another_name(bench: Bench) -> None:
    """A user with the ID 0 is root, whatever its name."""
    name = f"{unique('toor')}:1"
    lines = f"FROM {bench.base}\nUSER root\nRUN echo toor:x:0:0::/:/bin/sh >> /etc/passwd\n"
    with removed_after(bench.client, name):
        derived(bench.client, name, lines)

        ended, left = bench.build(f'base = "{name}"\nuser = "toor"\n')

    expected = f"""\
{BEFORE}{CMD}The base NAME has no runtime user "toor".
    Write: user = "dockeruser"
    or name a user that is not root, which the base has or a run makes: \
run = [{{ command = "useradd --create-home toor" }}]
Nothing was built.
"""
    normalized = replace(ended, stderr=ended.stderr.replace(name, "NAME"))
    assert (Ended(code=4, stdout="", stderr=expected), []) == (normalized, left)


def test_a_base_whose_users_are_behind_a_link(bench: Bench, amlenv_base: str) -> None:
    """The file of the users may be a link to another file of the base."""
    name = f"{unique('linked')}:1"
    lines = (
        f"FROM {amlenv_base}\nUSER root\nRUN mv /etc/passwd /var/users && ln -s ../var/users /etc/passwd\n"
    )
    with removed_after(bench.client, name):
        derived(bench.client, name, lines)

        ended, left = bench.build(f'base = "{name}"\nuser = "dockeruser"\napt = ["none=1"]\n')

    assert "The Debian packages cannot be installed.\n" in ended.stderr
    assert (4, []) == (ended.code, left)


def test_a_base_with_a_file_of_users_without_end(bench: Bench) -> None:
    """Of a large file no more than its beginning is read."""
    name = f"{unique('large')}:1"
    grow = "x=a; while [ ${#x} -lt 2000000 ]; do x=$x$x; done; echo $x >> /etc/passwd"
    lines = f"FROM {bench.base}\nUSER root\nRUN {grow}\n"
    with removed_after(bench.client, name):
        derived(bench.client, name, lines)

        ended, left = bench.build(f'base = "{name}"\nuser = "server"\n')

    expected = f"""\
{BEFORE}{CMD}/etc/passwd of the image is larger than N MB.
    Name another base, or the number of a user, which is not looked up: user = "1000"
Nothing was built.
"""
    assert (Ended(code=4, stdout="", stderr=expected), []) == (ended, left)


def test_a_base_without_an_environment(bench: Bench) -> None:
    """To install Python packages, the base must say where its Python environment is."""
    name = f"{unique('plain')}:1"
    with removed_after(bench.client, name):
        bench.client.images.load(image_archive(name, architecture="amd64"))

        ended, left = bench.build(f'base = "{name}"\npip = ["six"]\n')

    expected = f"""\
{BEFORE.replace("1 file,", "5 files,")}\
The base NAME sets no AZUREML_CONDA_ENVIRONMENT_PATH, so its Python is not known.
    Write: server = "azmlinfsrv", which adds the inference server
    or name an inference image of Azure ML
Nothing was built.
"""
    normalized = replace(ended, stderr=ended.stderr.replace(name, "NAME"))
    assert (Ended(code=4, stdout="", stderr=expected), []) == (normalized, left)


def test_a_base_with_an_entrypoint_is_built_with_a_warning(bench: Bench) -> None:
    """An ENTRYPOINT of the base is kept, with a warning."""
    name, tag = f"{unique('entry')}:1", unique("t")
    with removed_after(bench.client, name, f"failing:{tag}"):
        derived(bench.client, name, f'FROM {bench.base}\nENTRYPOINT ["/bin/env", "--"]\nCMD ["a"]\n')

        ended, _ = bench.build(f'base = "{name}"\ntags = ["{tag}"]\n')

        config = bench.client.images.get(f"failing:{tag}").attrs["Config"]
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    expected = [
        "warning: the base has an ENTRYPOINT (/bin/env --), unlike Azure ML's images",
        "warning: the base's CMD is a, not runsvdir /var/runit",
    ]
    assert (0, expected, ["/bin/env", "--"], ["a"]) == (
        ended.code,
        warnings,
        config["Entrypoint"],
        config["Cmd"],
    )


def test_an_engine_that_does_not_answer(bench: Bench) -> None:
    """There is a docker client, but no engine."""
    host = f"unix://{bench.scratch}/none.sock"

    ended, left = bench.build('base = "any:1"\n', by="20.10", env={"DOCKER_HOST": host})

    expected = f"""\
Docker's engine does not answer (DOCKER_HOST names {host}).
    Start it: open Docker Desktop, or on Linux: sudo systemctl start docker
    or, for the engine of docker's current context: unset DOCKER_HOST
    the connection failed: No such file or directory
Nothing was built.
"""
    assert (Ended(code=3, stdout="", stderr=expected), []) == (ended, left)


def test_a_machine_without_docker(bench: Bench) -> None:
    """There is neither a socket nor a program of Docker."""
    host = f"unix://{bench.scratch}/none.sock"

    ended, left = bench.build('base = "any:1"\n', env={"DOCKER_HOST": host})

    expected = f"""\
There is no Docker engine here (DOCKER_HOST names {host}).
    On Debian and Ubuntu: sudo apt-get install docker.io
    or see https://docs.docker.com/engine/install/
    or, for the engine of docker's current context: unset DOCKER_HOST
    the connection failed: No such file or directory
Nothing was built.
"""
    assert (Ended(code=3, stdout="", stderr=expected), []) == (ended, left)


def test_a_context_that_does_not_exist(bench: Bench) -> None:
    """DOCKER_CONTEXT names a context that does not exist."""
    env = {"DOCKER_HOST": "", "DOCKER_CONTEXT": "nowhere"}

    ended, left = bench.build('base = "any:1"\n', by="20.10", env=env)

    expected = """\
The docker context "nowhere" does not exist.
    docker context ls
    then: docker context use NAME
Nothing was built.
"""
    assert (Ended(code=3, stdout="", stderr=expected), []) == (ended, left)


def test_an_engine_of_another_name(bench: Bench) -> None:
    """A name that is not that of an engine is a mistake in a flag: exit code 2."""
    ended, left = bench.build('base = "any:1"\n', "--engine", "moby")

    expected = """\
--engine: is "moby", which is not an engine
    Engines: docker, acr, auto.

1 problem; nothing was done.
"""
    assert (Ended(code=2, stdout="", stderr=expected), []) == (ended, left)


CONNECT = """\
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.errors import EngineError

try:
    connect()
except EngineError as error:
    print(error.exit_code, error.what, error.next_step, sep="\\n")
"""
NOT_ALMIGHTY = ("setpriv", "--bounding-set=-dac_override")
"""Root, whom file modes keep out like anybody else; another user may not even enter the folder of these tests."""


def test_a_socket_that_does_not_let_one_in() -> None:
    """A user who may not use the engine's socket is told how to get permission."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX) as engine,
    ):
        path = Path(folder, "docker.sock")
        engine.bind(str(path))
        engine.listen()
        path.chmod(0o000)
        env = {**os.environ, "DOCKER_HOST": f"unix://{path}", "DOCKER_CONFIG": folder}

        completed = subprocess.run(
            [*(NOT_ALMIGHTY if os.geteuid() == 0 else ()), sys.executable, "-c", CONNECT],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    expected = f"""\
3
Your user may not use Docker's engine (DOCKER_HOST names unix://{path}).
sudo usermod -aG docker $USER
then sign in again; or run this as a user who may use the socket
"""
    assert (expected, "") == (completed.stdout, completed.stderr)


def image_archive(name: str, *, architecture: str) -> bytes:
    """Return the archive of an empty image, for `docker load`."""
    layer = b"\0" * 2 * tarfile.BLOCKSIZE
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
