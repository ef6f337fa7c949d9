"""`invoke image.build` with its flags, with commands of the project, and interrupted."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import ImageNotFound

from tests.real.built_project import derived
from tests.real.support import (
    Consumer,
    consumer,
    environment_of,
    environment_without_docker,
    left_containers,
    normal,
    output_of,
    removed_after,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry

CODE = {"code/score.py": "def init(): pass\ndef run(data): return data\n"}
BUILDERS = ["20.10", "26.1-buildx", "26.1"]
ENDS = {
    signal.SIGINT: (130, "Interrupted. Everything that was started has been stopped and removed."),
    signal.SIGTERM: (143, "Terminated. Everything that was started has been stopped and removed."),
}
"""Signal -> exit code and last line."""


@pytest.fixture(scope="module")
def own_base(docker_client: docker.DockerClient, tiny_base: str) -> Iterator[str]:
    """Return an image that only this module extends, so that each container of it is one of this module."""
    name = f"{unique('base')}:1"
    with removed_after(docker_client, name):
        derived(docker_client, name, f"FROM {tiny_base}\nLABEL own={name}\n")
        yield name


@pytest.fixture
def name(docker_client: docker.DockerClient) -> Iterator[str]:
    """Return the name of a project whose image of version 1 is removed after the test."""
    project_name = unique("build")
    with removed_after(docker_client, f"{project_name}:1"):
        yield project_name


@pytest.fixture(params=BUILDERS)
def env(request: pytest.FixtureRequest, clients: Mapping[str, Client], tmp_path: Path) -> dict[str, str]:
    """The environment of each docker client."""
    return environment_of(clients[request.param], tmp_path)


@pytest.fixture
def no_docker(tmp_path: Path) -> dict[str, str]:
    """Return an environment without docker: the legacy builder, whose output never changes, builds."""
    return environment_without_docker(tmp_path)


def write_project(
    folder: Path, name: str, table: str, env: Mapping[str, str], files: Mapping[str, str] | None = None
) -> Consumer:
    """Return a project of version 1 with some code and *table*."""
    text = f'[project]\nname = "{name}"\nversion = "1"\n\n[tool.azureml-image]\n{table}'
    return consumer(folder / "project", {**CODE, **(files or {}), "pyproject.toml": text}, env)


def shown(client: docker.DockerClient, image: str, command: str) -> str:
    """Return what a shell prints in a container of *image*."""
    out: bytes = output_of(client, image, ["/bin/sh", "-c", command])
    return out.decode()


AFTER_CODE = """
[[tool.azureml-image.run]]
after = "code"
command = "true"
"""
"""A command after the code, so that a builder is needed, whatever the engine."""
STEPS = """\
ENGINE
build context: 1 file, SIZE, sha256 HASH
warning: the base's CMD is sleep 600, not runsvdir /var/runit
Step 1/8 : FROM BASE
 ---> LAYER
Step 2/8 : USER root
 ---> Running in LAYER
Removing intermediate container LAYER
 ---> LAYER
Step 3/8 : COPY code/ ${AML_APP_ROOT:-/var/azureml-app}/
 ---> LAYER
Step 4/8 : ENV AZUREML_ENTRY_SCRIPT="score.py"
 ---> Running in LAYER
Removing intermediate container LAYER
 ---> LAYER
Step 5/8 : RUN ["/bin/sh", "-c", "true"]
 ---> Running in LAYER
Removing intermediate container LAYER
 ---> LAYER
Step 6/8 : ARG CONTEXT_SHA256=""
 ---> Running in LAYER
Removing intermediate container LAYER
 ---> LAYER
Step 7/8 : LABEL     "org.opencontainers.image.title"="NAME"     "org.opencontainers.image.version"="1"\
     "org.opencontainers.image.base.name"="BASE"     "azureml-tasks.context-sha256"="$CONTEXT_SHA256"
 ---> Running in LAYER
Removing intermediate container LAYER
 ---> LAYER
Step 8/8 : USER dockeruser
 ---> Running in LAYER
Removing intermediate container LAYER
 ---> LAYER
Successfully built LAYER
built sha256:ID
"""


def test_only_the_names_are_on_stdout(
    own_base: str, name: str, no_docker: dict[str, str], tmp_path: Path
) -> None:
    """Progress and the builder's output are on stderr."""
    project = write_project(tmp_path, name, f'base = "{own_base}"\n{AFTER_CODE}', no_docker)

    ended = project.invoke("image.build", "--no-cache")

    stderr = layers(normal(ended.stderr, {name: "NAME", own_base: "BASE"}))
    assert (0, f"{name}:1\n", STEPS) == (ended.code, ended.stdout, stderr)


def test_code_without_anything_else_is_one_layer(
    own_base: str, name: str, no_docker: dict[str, str], tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """It is one layer on the base, and no docker client is needed."""
    ended = write_project(tmp_path, name, f'base = "{own_base}"\n', no_docker).invoke("image.build")

    before, _, after = STEPS.partition("Step 1/8")
    stderr = layers(normal(ended.stderr, {name: "NAME", own_base: "BASE"}))
    copied = "1 file to copy"
    expected = f"{before}{copied}\n{after[after.rindex('built ') :]}"
    assert (0, expected) == (ended.code, stderr)
    base, image = (docker_client.images.get(reference) for reference in (own_base, f"{name}:1"))
    assert base.attrs["RootFS"]["Layers"] == image.attrs["RootFS"]["Layers"][:-1]
    about = ("Cmd", "Entrypoint", "ExposedPorts", "WorkingDir")
    assert [base.attrs["Config"][key] for key in about] == [image.attrs["Config"][key] for key in about]
    look = "cat /var/azureml-app/score.py; echo $AZUREML_ENTRY_SCRIPT; id -un"
    assert f"{CODE['code/score.py']}score.py\ndockeruser\n" == shown(docker_client, str(image.id), look)


@pytest.mark.parametrize("env", ["20.10", "26.1"], indirect=True)
def test_the_builders_cache_is_used_unless_no_cache_is_set(
    own_base: str, name: str, env: dict[str, str], tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """The same build gives the same image; `--no-cache` runs every step again."""
    table = f'base = "{own_base}"\nrun = [{{ command = "echo $$ > /tmp/a; cat /proc/uptime > /tmp/b" }}]\n'
    project = write_project(tmp_path, name, table, env)
    ids = []
    for flags in ([], [], ["--no-cache"]):
        assert project.invoke("image.build", *flags).code == 0
        ids.append(shown(docker_client, f"{name}:1", "cat /tmp/b"))

    first, again, anew = ids
    assert (first, True) == (again, first != anew)


@pytest.mark.parametrize("env", ["20.10", "26.1"], indirect=True)
def test_commands_run_at_their_place_as_their_user(
    own_base: str, name: str, env: dict[str, str], tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """Each command reaches the shell unchanged, as root or as the runtime user."""
    table = f"""\
base = "{own_base}"
model = "model.bin"

[[tool.azureml-image.run]]
after = "code"
user = "runtime"
command = 'id -un; cat /var/azureml-app/azureml-models/model.bin; ls /var/azureml-app > /tmp/code'

[[tool.azureml-image.run]]
after = "apt"
command = '''
for word in "a  b" 'c"d' $PATH \\
    e; do echo "$word"; done > /tmp/apt
from=1; id -un >> /tmp/apt # ${{from}} 模型'''

[[tool.azureml-image.run]]
command = "cat /tmp/apt > /tmp/pip; test -e /var/azureml-app || echo 'no code yet' >> /tmp/pip"

[[tool.azureml-image.run]]
user = "runtime"
command = "id -un > /tmp/second"
"""
    project = write_project(tmp_path, name, table, env, {"model.bin": "weights\n"})

    ended = project.invoke("image.build")

    output = shown(docker_client, f"{name}:1", "cat /tmp/pip; cat /tmp/second /tmp/code; id -un")
    expected = """\
a  b
c"d
/bin
e
root
no code yet
dockeruser
azureml-models
score.py
dockeruser
"""
    assert (0, expected) == (ended.code, output)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("weights.bin", "weights.bin\n"), ("model", "v1\nweights.bin\n"), ("model/v1", "deep.bin\n")],
    ids=["a file", "a folder", "a folder in a folder"],
)
def test_the_model_is_in_its_folder(
    own_base: str,
    name: str,
    no_docker: dict[str, str],
    tmp_path: Path,
    docker_client: docker.DockerClient,
    model: str,
    expected: str,
) -> None:
    """AZUREML_MODEL_DIR holds the file, or the content of the folder."""
    files = {"weights.bin": "w\n", "model/weights.bin": "w\n", "model/v1/deep.bin": "w\n"}
    project = write_project(tmp_path, name, f'base = "{own_base}"\nmodel = "{model}"\n', no_docker, files)

    ended = project.invoke("image.build")

    assert (0, expected) == (ended.code, shown(docker_client, f"{name}:1", 'ls "$AZUREML_MODEL_DIR"'))


def test_flags_set_base_registry_and_tags(
    own_base: str, name: str, no_docker: dict[str, str], tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """`--base`, `--registry` and `--tag` take precedence over the table, in the image and in its record."""
    table = 'base = "no-such-image:1"\nregistry = "table.example.com"\ntags = ["table"]\n'
    project = write_project(tmp_path, name, table, no_docker)
    names = [f"flag.example.com/{name}:{tag}" for tag in ("one", "two")]

    with removed_after(docker_client, *names):
        ended = project.invoke(
            "image.build",
            "--base", own_base,
            "--registry", "flag.example.com",
            "--tag", "one",
            "--tag", "two",
        )  # fmt: skip

        tagged = docker_client.images.get(project.record("build.json")["id"])
        assert (0, "".join(f"{reference}\n" for reference in names), names, own_base) == (
            ended.code,
            ended.stdout,
            sorted(tagged.tags),
            tagged.labels["org.opencontainers.image.base.name"],
        )


def test_pull_gets_a_newer_base(
    own_base: str,
    name: str,
    no_docker: dict[str, str],
    tmp_path: Path,
    docker_client: docker.DockerClient,
    registry: Registry,
) -> None:
    """Without `--pull` the base on the engine is used as it is."""
    base = f"{registry.host}/{unique('base')}"
    project = write_project(tmp_path, name, f'base = "{base}:1"\n', no_docker)
    which: list[tuple[int, Any, str]] = []
    with removed_after(docker_client, f"{base}:1"):
        derived(docker_client, f"{base}:1", f"FROM {own_base}\nLABEL which=new\n")
        docker_client.images.push(base, tag="1")
        derived(docker_client, f"{base}:1", f"FROM {own_base}\nLABEL which=old\n")
        for flags in ([], ["--pull"]):
            ended = project.invoke("image.build", *flags)
            pulled = [line for line in ended.stderr.splitlines() if line.startswith("pulling ")]
            which.append((ended.code, pulled, docker_client.images.get(f"{name}:1").labels["which"]))

        docker_client.images.remove(f"{base}:1", force=True)
        ended = project.invoke("image.build")
        which.append((ended.code, ended.stdout, docker_client.images.get(f"{name}:1").labels["which"]))

    pulling = [f"pulling {base}:1 for linux/amd64"]
    assert [(0, [], "old"), (0, pulling, "new"), (0, f"{name}:1\n", "new")] == which


def test_dry_prints_commands_with_the_same_effect(
    own_base: str, name: str, env: dict[str, str], tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """`--dry` creates no image, container, record or file; the printed command builds the same image."""
    project = write_project(tmp_path, name, f'base = "{own_base}"\n{AFTER_CODE}', env)
    before = sorted(path.name for path in project.folder.iterdir())

    ended = project.invoke("--dry", "image.build")

    assert (0, before) == (ended.code, sorted(p.name for p in project.folder.iterdir() if p.suffix != ".pyc"))
    with pytest.raises(ImageNotFound):
        docker_client.images.get(f"{name}:1")
    pasted = project.paste(ended.stdout)
    assert (0, 2) == (pasted.code, len(ended.stdout.splitlines())), pasted.stderr
    by_hand = docker_client.images.get(f"{name}:1")
    assert project.invoke("image.build").code == 0
    assert by_hand.id == project.record("build.json")["id"]


def test_dry_prints_the_pull_of_a_missing_base(
    name: str, no_docker: dict[str, str], tmp_path: Path, registry: Registry
) -> None:
    """Nothing is pulled."""
    base = f"{registry.host}/none:1"

    ended = write_project(tmp_path, name, f'base = "{base}"\n', no_docker).invoke("--dry", "image.build")

    expected = f"""\
docker pull --platform linux/amd64 {base}
invoke image.context | docker build --platform linux/amd64 --build-arg CONTEXT_SHA256=HASH --tag {name}:1 -
"""
    assert (0, expected) == (ended.code, re.sub(r"=[0-9a-f]{64} ", "=HASH ", ended.stdout))


def test_echo_shows_the_command_on_stderr(
    own_base: str, name: str, no_docker: dict[str, str], tmp_path: Path
) -> None:
    """With `--echo` the same command is printed on stderr; stdout has only the results."""
    project = write_project(tmp_path, name, f'base = "{own_base}"\n', no_docker)
    dry = project.invoke("--dry", "image.build").stdout

    ended = project.invoke("--echo", "image.build")

    echoed = [line for line in ended.stderr.splitlines() if line.startswith(("docker run ", "invoke "))]
    assert (0, f"{name}:1\n", dry.splitlines()) == (ended.code, ended.stdout, echoed)


WAYS = {
    "DOCKER_HOST stands above all": ("dead", {"DOCKER_HOST": "HOST", "DOCKER_CONTEXT": "dead"}, "default"),
    "then DOCKER_CONTEXT": ("dead", {"DOCKER_CONTEXT": "good"}, "good"),
    "then the current context": ("good", {}, "good"),
}


@pytest.mark.parametrize(
    ("way", "env"), [*zip(WAYS, ["20.10", "20.10", "26.1-buildx"], strict=True)], indirect=["env"]
)
def test_every_request_goes_to_the_same_engine(
    own_base: str, name: str, env: dict[str, str], tmp_path: Path, engine: str, way: str
) -> None:
    """However the engine is chosen, inspection and build go to it, and the first line names it."""
    current, variables, context = WAYS[way]
    alone = {key: text for key, text in env.items() if key not in {"DOCKER_HOST", "DOCKER_CONTEXT"}}
    for context_name, host in (("good", engine), ("dead", f"unix://{tmp_path}/none.sock")):
        create = ["docker", "context", "create", context_name, "--docker", f"host={host}"]
        subprocess.run(create, env=alone, check=True, capture_output=True)
    subprocess.run(["docker", "context", "use", current], env=alone, check=True, capture_output=True)
    chosen = {key: text.replace("HOST", engine) for key, text in variables.items()}
    project = write_project(tmp_path, name, f'base = "{own_base}"\n', {**alone, **chosen})

    ended = project.invoke("--echo", "image.build", "--verbose")

    where = re.search(r"\((.*?)\)", ended.stderr.splitlines()[0])
    command = next(line for line in ended.stderr.splitlines() if line.startswith("invoke image.context | "))
    expected = "" if context == "default" else f" --context {context}"
    assert where is not None
    assert (0, f'{engine}, context "{context}"', [f"docker{expected} build"]) == (
        ended.code,
        where[1],
        re.findall(r"docker(?: --context \S+)? build(?=x? )", command),
    )


@pytest.mark.parametrize(
    ("env", "by"),
    [
        ("20.10", signal.SIGTERM),
        ("26.1-buildx", signal.SIGINT),
        ("26.1", signal.SIGINT),
        ("26.1", signal.SIGTERM),
    ],
    indirect=["env"],
)
def test_an_interrupted_build_leaves_nothing(
    own_base: str,
    name: str,
    env: dict[str, str],
    tmp_path: Path,
    docker_client: docker.DockerClient,
    by: signal.Signals,
) -> None:
    """The build stops in the middle of a step; no process, container, temporary file, image or record is left."""
    (tmp_path / "tmp").mkdir()
    table = f'base = "{own_base}"\nrun = [{{ command = "echo {name}-$((40+2)); sleep 300 # {name}" }}]\n'
    project = write_project(tmp_path, name, table, {**env, "TMPDIR": str(tmp_path / "tmp")})

    ended = project.interrupted("image.build", at=f"{name}-42", by=by)

    left = [*outliving(name), *left_containers(docker_client, own_base)]
    assert (*ENDS[by], "", [], [], []) == (
        ended.code,
        ended.stderr.splitlines()[-1],
        ended.stdout,
        left,
        project.records(),
        list((tmp_path / "tmp").iterdir()),
    )
    with pytest.raises(ImageNotFound):
        docker_client.images.get(f"{name}:1")


def outliving(marker: str) -> list[str]:
    """Return the commands on this machine that have *marker* and do not end."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            process = os.pidfd_open(int(path.parent.name))
        except OSError:  # It has ended meanwhile.
            continue
        if f"# {marker}" in line and not select.select([process], [], [], 60)[0]:
            commands.append(line)
        os.close(process)
    return commands


def layers(text: str) -> str:
    """Return *text* with a word in place of each short ID."""
    return re.sub(
        r"^Docker engine .*$", "ENGINE", re.sub(r"\b[0-9a-f]{12}\b", "LAYER", text), flags=re.MULTILINE
    )
