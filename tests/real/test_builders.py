"""The same project gives the same image with both builders on both image families; each docker client builds once."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.engines.docker.docker_context import DEFAULT_HOST
from tests.machine import bases
from tests.real.support import Ended, consumer, environment_for, normal, output_of, removed_after, unique
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import docker

    from tests.machine.clients import Client

WHY = {
    "20.10": "BuildKit by docker build (the docker client VERSION on PATH has it built in)",
    "26.1": "the legacy builder (the docker client VERSION on PATH has no buildx)",
    "26.1-buildx": "BuildKit by docker buildx (the docker client VERSION on PATH has buildx)",
    "none": "the legacy builder (there is no docker client on PATH)",
}
BUILDS = (("amlenv", "20.10"), ("amlenv", "26.1"), ("curated", "26.1-buildx"), ("curated", "none"))
"""Family and client: each family has a build by BuildKit and one by the legacy builder, and each client has one."""
TABLE = """\
[project]
name = "Iris_Server"
version = "1.0"

[tool.azureml-image]
base = "BASE"
requirements = "requirements.txt"
model = "model"
tags = ["TAG", "TAG-too"]

[tool.azureml-image.env]
GREETING = '''a $$b 'c' "d" \\'''

[tool.azureml-image.labels]
team = "the \\"a\\" team"
"""
FILES: dict[str, str] = {
    "requirements.txt": "./wheels/alpha-1.0-py3-none-any.whl\n",
    "code/score.py": "def init(): pass\ndef run(data): return data\n",
    "code/tool.sh": "#!/bin/sh\n",
    "code/my data/模型.txt": "private at home\n",
    "model/v1/weights.bin": "weights\n",
}
LOOK = """\
import hashlib, json, os, pathlib, stat, sys
from importlib import metadata

def about(path):
    found = path.lstat()
    return {
        "mode": stat.filemode(found.st_mode), "owner": [found.st_uid, found.st_gid],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        "link": os.readlink(path) if path.is_symlink() else "", "readable": os.access(path, os.R_OK),
        "writable": os.access(path, os.W_OK), "time": int(found.st_mtime) if path.is_file() else 0}

root = pathlib.Path("/var/azureml-app")
print(json.dumps({
    "uid": os.getuid(),
    "files": {str(path.relative_to(root)): about(path) for path in sorted(root.rglob("*"))},
    "packages": {d.metadata["Name"]: [d.version, str(d.locate_file(""))] for d in metadata.distributions()},
    "local": os.path.exists(os.path.expanduser("~/.local")),
}))
"""

CHANGE = """\
import json, os, pathlib

def attempt(action, *arguments):
    try:
        action(*arguments)
    except PermissionError:
        return "refused"
    return "done"

os.chdir("/var/azureml-app")
print(json.dumps({
    "owner": pathlib.Path(".").owner(),
    "write a copied file": attempt(open, "score.py", "a"),
    "write into a copied folder": attempt(open, "my data/new", "w"),
    "delete in a copied folder": attempt(os.unlink, "my data/模型.txt"),
    "add beside copied files": attempt(open, "new", "w"),
    "delete a copied file": attempt(os.unlink, "score.py"),
}))
"""


@dataclass(frozen=True, kw_only=True)
class Built:
    """The result of `invoke image.build` on one family with one client.

    Args:
        family: of its base.
        base: the family's image.
        tag: the first tag, which no other build has.
        ended: exit code and output.
        record: `.azureml-image/build.json`.
        config: the image's configuration as the engine has it.
        inside: what a process in the image sees.
    """

    family: str
    base: str
    tag: str
    ended: Ended
    record: dict[str, Any]
    config: dict[str, Any]
    inside: dict[str, Any]


@pytest.fixture(scope="module")
def build(
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str, str], Built]]:
    """Build with a family and a client, once; the images are removed after the module."""
    builds: dict[tuple[str, str], Built] = {}
    alpha = wheel(tmp_path_factory.mktemp("wheels"), "alpha", "1.0")
    with ExitStack() as after:

        def once(family: str, client: str) -> Built:
            if (family, client) not in builds:
                scratch = tmp_path_factory.mktemp("builder")
                env = environment_for(client, clients, scratch)
                base, tag = bases.ensure(docker_client, family), unique("t")
                after.enter_context(
                    removed_after(docker_client, f"iris-server:{tag}", f"iris-server:{tag}-too")
                )
                project = consumer(
                    scratch / "project",
                    {
                        **FILES,
                        "pyproject.toml": TABLE.replace("BASE", base).replace("TAG", tag),
                        f"wheels/{alpha.name}": alpha.read_bytes(),
                    },
                    env,
                )
                (project.folder / "code/tool.sh").chmod(0o755)
                (project.folder / "code/my data/模型.txt").chmod(0o600)
                (project.folder / "code/latest").symlink_to("my data/模型.txt")
                ended = project.invoke("image.build")
                assert (0, f"iris-server:{tag}\niris-server:{tag}-too\n") == (ended.code, ended.stdout), ended
                record = project.record("build.json")
                builds[family, client] = Built(
                    family=family,
                    base=base,
                    tag=tag,
                    ended=ended,
                    record=record,
                    config=docker_client.images.get(record["id"]).attrs["Config"],
                    inside=look(docker_client, record["id"]),
                )
            return builds[family, client]

        yield once


@pytest.fixture(scope="module", params=[client for _, client in BUILDS])
def client(request: pytest.FixtureRequest) -> str:
    """Each client, and none."""
    return str(request.param)


@pytest.fixture(scope="module")
def built(build: Callable[[str, str], Built], client: str) -> Built:
    """The build by that client."""
    return next(build(*pair) for pair in BUILDS if pair[1] == client)


def look(client: docker.DockerClient, image: str, script: str = LOOK) -> dict[str, Any]:
    """Return what *script* prints under the environment's Python in a container of *image*."""
    command = ["/bin/sh", "-c", '"$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python" -c "$SCRIPT"']
    out = output_of(client, image, command, environment={"SCRIPT": script})
    printed: dict[str, Any] = json.loads(out)
    return printed


def test_the_builder_is_named_with_its_reason(
    built: Built, client: str, engine: str, docker_client: docker.DockerClient
) -> None:
    """The first two lines have the engine, its builder, and the context; the whole reason is under --verbose."""
    version = docker_client.version()["Version"]
    where = "" if engine == DEFAULT_HOST else f" ({engine})"

    lines = built.ended.stderr.splitlines()[:2]

    expected = [
        f"Docker engine {version}{where}; runs build commands with {WHY[client].partition(' (')[0]}",
        f"build context: 11 files, SIZE, sha256 {built.record['context_sha256']}",
    ]
    assert expected == [re.sub(r"files, .+ kB,", "files, SIZE,", line) for line in lines]


def test_variables_and_labels_are_added_to_those_of_the_base(
    built: Built, docker_client: docker.DockerClient
) -> None:
    """User, CMD, ports and working directory are those of the base, and there is no ENTRYPOINT."""
    base = docker_client.images.get(built.base).attrs["Config"]
    kept = ("User", "Cmd", "Entrypoint", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck")

    config = {name: built.config.get(name) or None for name in (*kept, "Env", "Labels")}

    expected = {
        **{name: base.get(name) or None for name in kept},
        "User": "dockeruser",
        "Cmd": ["runsvdir", "/var/runit"],
        "Entrypoint": None,
        "Env": [
            *base["Env"],
            "AZUREML_ENTRY_SCRIPT=score.py",
            "AZUREML_MODEL_DIR=/var/azureml-app/azureml-models",
            "GREETING=a $b 'c' \"d\" \\",
        ],
        "Labels": {
            **base["Labels"],
            "org.opencontainers.image.title": "iris-server",
            "org.opencontainers.image.version": "1.0",
            "org.opencontainers.image.base.name": built.base,
            "azureml-tasks.context-sha256": built.record["context_sha256"],
            "team": 'the "a" team',
        },
    }
    assert expected == config


def test_root_owns_the_files_and_the_user_can_only_read_them(built: Built) -> None:
    """Every file is where Azure ML looks for it, and the runtime user may not write it."""
    inside = (built.inside["uid"], built.inside["files"])

    expected = {
        "score.py": file("code/score.py"),
        "tool.sh": file("code/tool.sh", mode="-rwxr-xr-x"),
        "my data": folder(),
        "my data/模型.txt": file("code/my data/模型.txt"),
        "latest": file("code/my data/模型.txt") | {"mode": "lrwxrwxrwx", "link": "my data/模型.txt"},
        "azureml-models": folder(),
        "azureml-models/v1": folder(),
        "azureml-models/v1/weights.bin": file("model/v1/weights.bin"),
    }
    assert (1000, expected) == inside


def test_what_the_runtime_user_may_change(built: Built, docker_client: docker.DockerClient) -> None:
    """Copied files and folders refuse every change; the base's own folder does so only if it is root's.

    Both stand-ins give `/var/azureml-app` to the runtime user, as Azure ML's documentation wants of an image. So that
    user can delete a copied file that lies directly in it.
    """
    expected = {
        "owner": "dockeruser",
        "write a copied file": "refused",
        "write into a copied folder": "refused",
        "delete in a copied folder": "refused",
        "add beside copied files": "done",
        "delete a copied file": "done",
    }
    assert expected == look(docker_client, built.record["id"], CHANGE)


def test_packages_are_installed_into_the_environment_of_the_base(
    built: Built, docker_client: docker.DockerClient
) -> None:
    """The packages of the base keep their versions, and nothing is in ~/.local."""
    before = look(docker_client, built.base)["packages"]
    where = {"amlenv": "/opt/miniconda/envs/amlenv", "curated": "/azureml-envs/minimal"}[built.family]

    inside = (built.inside["packages"], built.inside["local"])

    server = before["azureml-inference-server-http"]
    assert server[1].startswith(f"{where}/lib/python3")
    assert ({**before, "alpha": ["1.0", server[1]]}, False) == inside


def test_the_build_is_recorded(built: Built) -> None:
    """The record has engine, image, tags and context; the last line before the names has the image ID."""
    last = built.ended.stderr.splitlines()[-1]

    image_id = built.record["id"]
    expected = {
        "engine": "docker",
        "id": image_id,
        "names": [f"iris-server:{built.tag}", f"iris-server:{built.tag}-too"],
        "tags": [built.tag, f"{built.tag}-too"],
        "context_sha256": built.record["context_sha256"],
        "user": "dockeruser",
        "fingerprint_parts": built.record["fingerprint_parts"],
        "installed_at": built.record["installed_at"],
        "version": "1.0",
    }
    parts = ["version", "platform", "base", "system", "python", "model", "code", "labels"]
    assert parts == list(built.record["fingerprint_parts"])
    assert (expected, f"built {image_id}", "sha256:ID") == (built.record, last, normal(image_id))


@pytest.mark.parametrize("family", ["amlenv", "curated"])
def test_both_builders_give_the_same_image(build: Callable[[str, str], Built], family: str) -> None:
    """Context hash, file system and configuration are the same."""
    both = [build(*pair) for pair in BUILDS if pair[0] == family]

    images = [
        (built.record["context_sha256"], built.inside, built.config["Env"], built.config["Labels"])
        for built in both
    ]

    assert [images[0]] * 2 == images


def file(name: str, *, mode: str = "-rw-r--r--") -> dict[str, Any]:
    """Return what a process in the image sees of a file of the project."""
    sha256 = hashlib.sha256(FILES[name].encode()).hexdigest()
    return {**folder(), "mode": mode, "sha256": sha256, "time": 315_532_800}


def folder() -> dict[str, Any]:
    """Return what a process in the image sees of a folder."""
    return {
        "mode": "drwxr-xr-x",
        "owner": [0, 0],
        "sha256": "",
        "link": "",
        "readable": True,
        "writable": False,
        "time": 0,
    }
