"""The smoke test if the published port is not on this machine, and with a mounted model."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.real.smoke_image import with_smoke_test, without_variations
from tests.real.support import Consumer, Ended, consumer, environment_of, removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client

SCORE = """\
import json
import os
from pathlib import Path


def init():
    if os.environ.get("HOW") == "broken":
        raise ValueError("the weights are not here")


def run(raw):
    if json.loads(raw) != "look":
        return {"heard": json.loads(raw)}
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    try:
        (files[0].parent / "mine").write_text("")
        written = True
    except OSError as error:
        written = error.strerror
    texts = {str(path.relative_to(folder)): path.read_text() for path in files}
    return {"dir": str(folder), "files": texts, "written": written}
"""

PROJECT = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
"""
FILES = {"weights/a.txt": "1", "weights/deep/b.txt": "2"}

# Has its own network with loopback alone, like a container that shares the engine's socket with its host.
ALONE = """\
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: up, running
os.execv(sys.executable, [sys.executable, "-m", "invoke", *sys.argv[1:]])
"""

# The same, with the engine on another address than loopback, like a remote one.
REMOTE = """\
import contextlib, fcntl, os, socket, struct, subprocess, sys, threading
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: up, running
    address = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("192.0.2.1"))
    fcntl.ioctl(any_socket, 0x8916, address)  # SIOCSIFADDR
listener = socket.create_server(("192.0.2.1", 0))
engine = os.environ["DOCKER_HOST"].removeprefix("unix://")

def copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

def serve():
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        far.connect(engine)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=copy, args=pair, daemon=True).start()

threading.Thread(target=serve, daemon=True).start()
there = {**os.environ, "DOCKER_HOST": f"tcp://192.0.2.1:{listener.getsockname()[1]}"}
sys.exit(subprocess.call([sys.executable, "-m", "invoke", *sys.argv[1:]], env=there))
"""


@pytest.fixture(scope="module")
def project(
    curated_base: str,
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Consumer]:
    """Build a project whose image answers what is in its model's folder."""
    folder, name = tmp_path_factory.mktemp("project"), unique("inside")
    text = PROJECT.format(name=name, base=curated_base)
    env = environment_of(clients["20.10"], folder)
    project = consumer(folder / name, {"pyproject.toml": text, "code/score.py": SCORE}, env)
    with removed_after(docker_client, f"{name}:1.0"):
        ended = project.invoke("image.build")
        assert ended.code == 0, ended.stderr
        yield project
        built_from: dict[str, str | list[str] | bool] = {"ancestor": f"{name}:1.0"}
        assert docker_client.containers.list(all=True, filters=built_from) == []


def invoke_in(network: str, project: Consumer, *arguments: str) -> Ended:
    """Run `invoke` in its own network; the engine's socket is a file and stays reachable."""
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    completed = subprocess.run(
        [*alone, sys.executable, "-c", network, *arguments],
        cwd=project.folder,
        env=dict(project.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Ended(code=completed.returncode, stdout=completed.stdout, stderr=completed.stderr)


REFUSED = '  { body = "look", expect = { written = "Read-only file system" } },\n'

MOUNTED = """\
model = "{model}"
requests = [
  {{ body = "look", expect = {{ dir = "/var/azureml-app/azureml-models/{name}/1", files = {files} }} }},
{refused}]
repeat = 1
"""


def test_a_folder_is_mounted(project: Consumer, tmp_path: Path) -> None:
    """A model's folder is mounted read-only under its own name in the folder that AZUREML_MODEL_DIR names."""
    name = project.folder.name
    files = '{ "weights/a.txt" = "1", "weights/deep/b.txt" = "2" }'
    table = MOUNTED.format(model="weights", name="weights", files=files, refused=REFUSED)
    mounted = with_smoke_test(project, tmp_path, table, FILES)
    ended = mounted.invoke("image.smoke-test")

    expected = """\
NAME:1.0 passed its smoke test (sha256:ID, through 127.0.0.1:PORT).
    ready after TIME
    request 1: 200 in p50 TIME, p95 TIME of 1
    request 2: 200 in p50 TIME, p95 TIME of 1
    peak memory N MiB
"""
    assert (0, expected) == (ended.code, without_variations(ended.stdout, name)), ended.stderr


def test_a_file_is_mounted(project: Consumer, tmp_path: Path) -> None:
    """A model of one file is mounted under its own name, in a folder of the model's name."""
    table = MOUNTED.format(model="weights/a.txt", name="a", files='{ "a.txt" = "1" }', refused="")
    ended = with_smoke_test(project, tmp_path, table, FILES).invoke("image.smoke-test")

    assert ended.code == 0, ended.stderr


PASSED = """\
NAME:1.0 passed its smoke test (sha256:ID, inside the container, because WHY).
    ready after TIME
    request 1: 200 in p50 TIME, p95 TIME of 10
    GET /swagger.json: 200 in p50 TIME, p95 TIME of 10
    peak memory N MiB
"""


@pytest.mark.parametrize(
    ("fixture", "body", "network", "why"),
    [
        (
            "smoke_project",  # on the other family of bases
            '{ do = "echo", value = { heard = "hello" } }',
            ALONE,
            "the published port is not on this machine",
        ),
        ("project", '"hello"', REMOTE, "the engine is on another machine"),
    ],
    ids=["shared socket", "remote engine"],
)
def test_requests_from_inside_the_container(
    fixture: str, body: str, network: str, why: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """If the port cannot be reached, the image's Python sends the requests from inside, and the report says why."""
    project: Consumer = request.getfixturevalue(fixture)
    swagger = (
        '{ method = "GET", path = "/swagger.json", headers = { X-Team = "a" }, expect = { swagger = "2.0" } }'
    )
    table = f'requests = [{{ body = {body}, expect = {{ heard = "hello" }} }}, {swagger}]\n'
    ended = invoke_in(network, with_smoke_test(project, tmp_path, table), "image.smoke-test")

    expected = PASSED.replace("WHY", why)
    assert (0, expected) == (ended.code, without_variations(ended.stdout, project.folder.name)), ended.stderr
    assert f"sending the requests from inside the container, because {why}" in ended.stderr.splitlines()


def test_the_container_exits_during_requests_from_inside(project: Consumer, tmp_path: Path) -> None:
    """A failing init() ends the container and the probe in it, and the report has its traceback."""
    table = 'requests = [{ body = "look" }]\nenv = { HOW = "broken" }\n'
    ended = invoke_in(REMOTE, with_smoke_test(project, tmp_path, table), "image.smoke-test")

    # The container may end before the first try.
    report = without_variations(ended.stderr, project.folder.name).replace("    last try: …\n", "")
    expected = """\
NAME:1.0 failed its smoke test (sha256:ID, inside the container, because the engine is on another machine).
Not run: swagger.json, request 1, malformed body
Look inside: invoke image.shell
The container's log is in .azureml-image/smoke-test.log

Failed: start-up
    the container exited with code 111
    GET / did not answer 200

In the container's log:
    Traceback (most recent call last):
      …
      File "/var/azureml-app/score.py", line 8, in init
        raise ValueError("the weights are not here")
    ValueError: the weights are not here
"""
    assert (5, "", expected) == (ended.code, ended.stdout, report[report.index("NAME:1.0 failed") :])
