"""Podman instead of Docker: build, smoke test, push, and the registry's digest."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest

from tests.machine import apt
from tests.real.serve_process import ask, free_port, serving
from tests.real.support import consumer, environment_of, normal, output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.machine.clients import Client
    from tests.machine.registry import Registry

# crun does not start where the machine mixes two versions of cgroups, and a container's limits may
# not stand above those of a machine that is a container itself.
CONTAINERS = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
REGISTRIES = """\
[[registry]]
location = "HOST"
insecure = true
"""
CODE = {"code/score.py": "def init(): pass\ndef run(data): return data\n"}
SMOKE_TEST = "[tool.azureml-image.smoke-test]\nrequests = [{ body = [1, 2], expect = 1 }]\n"
TABLE = """\
[project]
name = "podman"
version = "1"

[tool.azureml-image]
"""


@pytest.fixture(scope="module")
def podman(
    docker_client: docker.DockerClient,
    amlenv_base: str,
    tiny_base: str,
    registry: Registry,
    saw_engine: Callable[[docker.DockerClient], None],
) -> Iterator[str]:
    """Run Podman with its own storage and the stand-in bases, and yield its address."""
    try:
        apt.need({"podman": "podman", "runc": "runc"}, why="the tests on Podman")
    except apt.NotPossibleError as reason:
        pytest.skip(str(reason))  # Only where nobody may install it: off Debian, or not as root.
    folder = Path(tempfile.mkdtemp(prefix="podman-", dir="/var/tmp"))  # /tmp may be in memory
    (folder / "containers.conf").write_text(CONTAINERS)
    (folder / "registries.conf").write_text(REGISTRIES.replace("HOST", registry.host))
    env = {
        **os.environ,
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
    }
    command = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]
    host = f"unix://{folder}/podman.sock"
    with (folder / "log").open("w") as log:
        service = subprocess.Popen(
            [*command, "system", "service", "--time", "0", host], env=env, stdout=log, stderr=log
        )
    try:
        with closing(connected(host, service)) as client:
            saw_engine(client)
            for base in (amlenv_base, tiny_base):
                client.images.load(docker_client.images.get(base).save(named=base))  # type: ignore[arg-type]  # an iterator is sent as it comes
        yield host
    finally:
        # On SIGTERM it waits for clients that are gone; its monitors stay for five minutes after an exec.
        service.kill()
        service.wait()
        end_all_that_name(folder)
        reset = [*command, "system", "reset", "--force"]
        subprocess.run(reset, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder)


def test_builds_and_pushes_on_podman(
    podman: str,
    tiny_base: str,
    registry: Registry,
    clients: Mapping[str, Client],
    tmp_path: Path,
) -> None:
    """Podman's API builds even if there is a docker client, and the digest is the registry's."""
    env = {**environment_of(clients["26.1-buildx"], tmp_path), "DOCKER_HOST": podman}
    files = {**CODE, "pyproject.toml": f'{TABLE}base = "{tiny_base}"\n'}
    project = consumer(tmp_path / "project", files, env)

    build = ("image.build", "--registry", registry.host, "--verbose")
    ended = project.invoke(*build, "image.push", "--untested")

    first = re.sub(r"engine \S+", "engine VERSION", ended.stderr.splitlines()[0])
    digest = registry_digest(registry, "podman", "1")
    builder = "runs build commands with the legacy builder (Podman builds through its own API)"
    engine = f'Podman engine VERSION ({podman}, context "default"); {builder}'
    expected = (0, engine, f"{registry.host}/podman@{digest}", digest)
    result = (ended.code, first, ended.stdout.splitlines()[-1], project.record("result.json")["digest"])
    assert expected == result, ended.stderr


def test_a_failing_step_on_podman(podman: str, tiny_base: str, tmp_path: Path) -> None:
    """The error names the step with its last lines, and no container and no record is left."""
    table = f'{TABLE}base = "{tiny_base}"\nrun = [{{ command = "echo one; exit 3" }}]\n'
    env = {**os.environ, "DOCKER_HOST": podman}
    project = consumer(tmp_path / "project", {**CODE, "pyproject.toml": table}, env)

    ended = project.invoke("image.build")

    with closing(docker.DockerClient(base_url=podman)) as client:
        containers = client.containers.list(all=True)
    last = normal(ended.stderr[ended.stderr.index("A build step failed") :])
    *error, words, state = last.splitlines()
    # Podman's own words, which differ from version to version, stand in the last line of the step.
    expected = [
        'A build step failed (pyproject.toml:7): RUN ["/bin/sh", "-c", "echo one; exit 3"]',
        "    Look at the image before that step: invoke image.shell",
        "    Its last lines say why:",
        "    one",
    ]
    assert (
        4,
        expected,
        "exit status 3",
        "The whole log is in .azureml-image/build.log. Nothing was built.",
        [],
        [],
    ) == (
        ended.code,
        error,
        words[-len("exit status 3") :],
        state,
        project.records(),
        containers,
    )


def test_serves_on_podman(
    podman: str, amlenv_base: str, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """The smoke test passes, and the report shows the image; then changed code answers, and no container is left.

    The log is read after each start.
    """
    files = {
        "code/score.py": "import part\ndef init(): pass\ndef run(data): return part.VALUE\n",
        "code/part.py": "VALUE = 1\n",
        "code/gone.py": "",
        "pyproject.toml": f'{TABLE}base = "{amlenv_base}"\n{SMOKE_TEST}',
    }
    env = {**environment_of(clients["26.1-buildx"], tmp_path), "DOCKER_HOST": podman}
    project, port = consumer(tmp_path / "project", files, env), free_port()
    tested = project.invoke("image.build", "image.smoke-test", "image.report")
    page = (project.folder / ".azureml-image" / "report.html").read_text(encoding="utf-8")
    facts = ("azureml-inference-server-http", "</span>Code<code", "not known")
    assert (0, [True, True, False]) == (tested.code, [fact in page for fact in facts]), tested.stderr
    with serving(project, "--port", str(port)) as served:
        served.wait_for("ready after")
        code = project.folder / "code"
        served.change({code / "gone.py": None, code / "part.py": "VALUE = 2\n"})
        served.wait_for("ready after", 2)
        answer = ask(port)
        ended = served.end(signal.SIGINT)

    with closing(docker.DockerClient(base_url=podman)) as client:
        containers = client.containers.list(all=True)
    assert (2, 0, []) == (answer, ended, containers), served.printed
    assert 2 == served.log.count("ready for serving traffic")


def end_all_that_name(folder: Path) -> None:
    """Kill the processes whose command line names *folder*, which belongs to this module."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(folder) in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)


def connected(host: str, service: subprocess.Popen[bytes]) -> docker.DockerClient:
    """Return a client of the service as soon as it answers."""
    with socket.socket(socket.AF_UNIX) as probe:
        while service.poll() is None:
            with suppress(OSError):
                probe.connect(host.removeprefix("unix://"))
                return docker.DockerClient(base_url=host, timeout=600)
    raise AssertionError(f"podman ended with {service.returncode}")


def registry_digest(registry: Registry, repository: str, tag: str) -> str:
    """Ask the registry for the digest of a tag."""
    accept = (
        "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    )
    with closing(http.client.HTTPConnection(registry.host)) as connection:
        connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": accept})
        return connection.getresponse().headers["Docker-Content-Digest"]


OWN = """\
FROM BASE AS files
USER root
COPY . /all/
RUN --mount=type=tmpfs,target=/mounted ls -A /all > /found

FROM files
USER dockeruser
CMD ["sleep", "600"]
"""


def test_an_own_dockerfile_on_podman(podman: str, tiny_base: str, tmp_path: Path) -> None:
    """Podman's builder knows RUN --mount, gets the labels, and copies no ignored file."""
    table = '[project]\nname = "own"\nversion = "1"\n\n[tool.azureml-image]\ndockerfile = "Dockerfile"\n'
    files = {
        "pyproject.toml": table,
        "Dockerfile": OWN.replace("BASE", tiny_base),
        ".dockerignore": "Dockerfile\ntasks.py\n.dockerignore\n",
    }
    project = consumer(tmp_path / "project", files, {**os.environ, "DOCKER_HOST": podman})

    ended = project.invoke("image.build")

    assert ended.code == 0, ended.stderr
    with closing(docker.DockerClient(base_url=podman, timeout=600)) as client:
        image = project.record("build.json")["id"]
        listed = output_of(client, image, ["cat", "/found"]).decode().split()
        labels = client.images.get(image).labels
    assert (["pyproject.toml"], "own") == (listed, labels["org.opencontainers.image.title"])
