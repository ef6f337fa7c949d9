"""Packages from a private index, whose login nothing of the build, of its output or of the image shows."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tarfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.offering import installed
from tests.real.private_index import Private, layers, serving, showing
from tests.real.support import (
    Consumer,
    consumer,
    environment_for,
    environment_of,
    normal,
    output_of,
    removed_after,
    unique,
)
from tests.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from tests.machine.clients import Client

PASSWORDS = ("netrc-Zq7-password", "address-Kx4-password")
TABLE = """\
[project]
name = "NAME"
version = "1"

[tool.azureml-image]
base = "BASE"
pip = ["alpha", "beta"]
secrets = ["pip-conf", "netrc"]
"""
FOLDER = "/tmp/azureml-image"  # noqa: S108 -- a folder of the image
CODE = {"code/score.py": "def init(): pass\ndef run(data): return data\n"}


@pytest.fixture(scope="module")
def index(
    docker_client: docker.DockerClient, amlenv_base: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Private]:
    """An index that answers no one without a login; in a container, so that builds of any engine reach it."""
    folder = tmp_path_factory.mktemp("index")
    stolen = wheel(folder, "thief", "1.0", files=FILES_OF_THIEF)
    more = {
        "one/built/built-1.0.tar.gz": sdist(),
        f"one/thief/{stolen.name}": stolen.read_bytes(),
        "one/thief/index.html": f'<a href="{stolen.name}">{stolen.name}</a>'.encode(),
    }
    with serving(
        docker_client, amlenv_base, folder, netrc=PASSWORDS[0], address=PASSWORDS[1], more=more
    ) as private:
        yield private


@pytest.fixture
def name(docker_client: docker.DockerClient) -> Iterator[str]:
    """A project's name, whose image of version 1 is gone after the test."""
    project_name = unique("secrets")
    with removed_after(docker_client, f"{project_name}:1"):
        yield project_name


def write_project(folder: Path, name: str, base: str, index: Private, env: Mapping[str, str]) -> Consumer:
    """A project whose packages are in the private index, and a run that says where its two secrets are."""
    (folder / "login").mkdir()
    (folder / "login/net,rc").write_text(index.login)
    text = TABLE.replace("NAME", name).replace("BASE", base)
    variables = {
        "CONTOSO_PIP_CONF": index.conf,
        "INVOKE_AZUREML_IMAGE_SECRET_PIP_CONF": "env:CONTOSO_PIP_CONF",
        "INVOKE_AZUREML_IMAGE_SECRET_NETRC": "../login/net,rc",
    }
    project = consumer(folder / "project", {**CODE, "pyproject.toml": text}, env)
    return replace(project, env={**project.env, **variables})


@dataclass
class Watch:
    """The arguments of every process on this machine that starts meanwhile, as often as they can be looked at."""

    before: set[Path] = field(default_factory=lambda: set(Path("/proc").iterdir()))
    arguments: set[bytes] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Look until it is over."""
        while not self.over.wait(0.02):
            for process in set(Path("/proc").iterdir()) - self.before:
                with suppress(OSError):  # It may have ended.
                    self.arguments.add((process / "cmdline").read_bytes())


@contextmanager
def watching() -> Iterator[set[bytes]]:
    """What `Watch` sees while the block runs."""
    watch = Watch()
    thread = threading.Thread(target=watch.look)
    thread.start()
    try:
        yield watch.arguments
    finally:
        watch.over.set()
        thread.join()


def test_installs_from_a_private_index_and_shows_the_login_nowhere(
    clients: Mapping[str, Client],
    index: Private,
    name: str,
    amlenv_base: str,
    tmp_path: Path,
    docker_client: docker.DockerClient,
) -> None:
    """Both logins count, and neither is in output, records, context, history, layers or any process's arguments.

    What was mounted, the script too, is gone with the step and its variables; the default mount leaves no folder.
    """
    project = write_project(
        tmp_path, name, amlenv_base, index, environment_of(clients["26.1-buildx"], tmp_path)
    )

    with watching() as arguments:
        ended = project.invoke("--echo", "image.build", "--no-cache")
    packed_up = project.invoke("image.context", "--output", str(tmp_path / "context.tar"))

    assert (0, f"{name}:1\n", 0) == (ended.code, ended.stdout, packed_up.code), ended.stderr
    packages = installed(docker_client, f"{name}:1")
    assert {"alpha": "1.0", "beta": "1.0"} == {word: packages.get(word) for word in ("alpha", "beta")}
    history = json.dumps(docker_client.images.get(f"{name}:1").history())
    shown = {
        "stdout and stderr": (ended.stdout + ended.stderr + packed_up.stderr).encode(),
        "context": (tmp_path / "context.tar").read_bytes(),
        "history": history.encode(),
        "arguments": b"\n".join(word for word in arguments if b"/srv/index.py" not in word),
        **{path.name: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()},
        **{str(at): part for at, part in enumerate(layers(docker_client, f"{name}:1", tmp_path))},
    }
    assert [] == showing(shown, PASSWORDS)
    # Each of these was looked at, and would have shown it.
    assert ["secret"] == showing({"secret": index.conf.encode()}, PASSWORDS)
    assert (True, True, True, True) == (
        "--secret id=pip-conf,env=CONTOSO_PIP_CONF" in ended.stderr,
        any(b"id=pip-conf,env=CONTOSO_PIP_CONF" in word for word in arguments),
        f"{FOLDER}/install.py" in history,
        f"http://bob:****@{index.host}:8080/two" in ended.stderr,
    )
    look = f"ls {FOLDER} /run/secrets 2>&1; env | grep -E '^(PIP|NETRC)'"
    left = output_of(docker_client, f"{name}:1", ["sh", "-c", f"{look}; true"]).decode()
    gone = "ls: cannot access '/run/secrets': No such file or directory"
    assert [gone, f"{FOLDER}:"] == left.splitlines()


THIEF = """
import glob, os
found = [name for name in glob.glob("/tmp/azureml-image/*") if os.path.basename(name) in ("netrc", "pip-conf")]
with open("/srv/stolen", "a") as stolen:
    stolen.write("ran " + "".join(open(name).read() for name in found) + chr(10))
"""
"""Code that copies what is mounted beside the script."""
FILES_OF_THIEF = {"thief.pth": "import thief\n", "thief.py": THIEF}
"""Files of a package whose code each start of Python in its environment runs."""
ATTACK = """
requirements = "requirements.txt"

[[tool.azureml-image.run]]
after = "apt"
command = 'cd "$AZUREML_CONDA_ENVIRONMENT_PATH"/lib/python3*/site-packages; echo CODE | base64 -d >> pip/__init__.py'
"""


def test_no_code_of_the_project_and_its_packages_can_read_the_secrets(
    clients: Mapping[str, Client],
    index: Private,
    name: str,
    amlenv_base: str,
    tmp_path: Path,
    docker_client: docker.DockerClient,
) -> None:
    """A wheel with a `.pth` and a shell command that changes pip both run in the build, and find nothing."""
    project = write_project(tmp_path, name, amlenv_base, index, environment_of(clients["20.10"], tmp_path))
    wheel(project.folder / "wheels", "thief", "1.0", files=FILES_OF_THIEF)
    (project.folder / "requirements.txt").write_text("./wheels/thief-1.0-py3-none-any.whl\n")
    with (project.folder / "pyproject.toml").open("a") as file:
        file.write(ATTACK.replace("CODE", base64.b64encode(THIEF.encode()).decode()))

    ended = project.invoke("image.build")

    assert (0, f"{name}:1\n") == (ended.code, ended.stdout), ended.stderr
    stolen = output_of(docker_client, f"{name}:1", ["cat", "/srv/stolen"])
    assert {b"ran"} == {line.strip() for line in stolen.splitlines()}
    assert [] == showing({"stderr": ended.stderr.encode()}, PASSWORDS)
    # A run that says that this may happen shows that the attack works.
    allowed = project.invoke("image.build", "--allow-source-builds")
    stolen = output_of(docker_client, f"{name}:1", ["cat", "/srv/stolen"])
    assert (0, ["stolen"]) == (allowed.code, showing({"stolen": stolen}, PASSWORDS)), allowed.stderr


def test_packages_that_are_installed_already_cannot_read_them_either(
    clients: Mapping[str, Client],
    index: Private,
    name: str,
    amlenv_base: str,
    tmp_path: Path,
    docker_client: docker.DockerClient,
) -> None:
    """A package is added to cached layers whose environment runs code at each start: it starts without the secrets."""
    project = write_project(tmp_path, name, amlenv_base, index, environment_of(clients["20.10"], tmp_path))
    table = (project.folder / "pyproject.toml").read_text()
    first, second = ('["alpha==1.0", "thief==1.0"]', '["alpha==1.0", "beta==1.0", "thief==1.0"]')
    (project.folder / "pyproject.toml").write_text(table.replace('["alpha", "beta"]', first))
    before = project.invoke("image.build")
    (project.folder / "pyproject.toml").write_text(table.replace('["alpha", "beta"]', second))

    ended = project.invoke("image.build")

    assert (0, 0, True) == (before.code, ended.code, "adding packages to cached layers" in ended.stderr), (
        ended.stderr
    )
    packages = installed(docker_client, f"{name}:1")
    assert {"alpha": "1.0", "beta": "1.0"} == {word: packages.get(word) for word in ("alpha", "beta")}
    stolen = output_of(docker_client, f"{name}:1", ["cat", "/srv/stolen"])
    assert {b"ran"} == {line.strip() for line in stolen.splitlines()}
    clean = project.invoke("image.clean")
    assert clean.code == 0, clean.stderr


BACKEND = (
    "import glob; raise SystemExit('BUILT ' + ''.join(open(f).read() for f in glob.glob('/tmp/azureml-image/*') "
    "if f.endswith(('netrc', 'conf'))))\n"
)
"""The build backend of a package: it tells what it can read."""


def sdist() -> bytes:
    """A source archive that is built by its own code."""
    table = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {"built-1.0/pyproject.toml": table, "built-1.0/backend.py": BACKEND}
    into = BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, BytesIO(text.encode()))
    return into.getvalue()


@pytest.mark.parametrize("flags", [(), ("--allow-source-builds",)], ids=["by default", "allowed"])
def test_no_package_is_built_beside_the_secrets_unless_the_run_allows_it(
    flags: tuple[str, ...],
    clients: Mapping[str, Client],
    index: Private,
    name: str,
    amlenv_base: str,
    tmp_path: Path,
) -> None:
    """A wheel may name the address of a source archive, which pip would build: its code never starts."""
    env = environment_of(clients["26.1-buildx"], tmp_path)
    project = write_project(tmp_path, name, amlenv_base, index, env)
    archive = f"http://{index.host}:8080/one/built/built-1.0.tar.gz"
    wheel(project.folder / "wheels", "leads", "1.0", f"built @ {archive}")
    (project.folder / "requirements.txt").write_text("./wheels/leads-1.0-py3-none-any.whl\n")
    with (project.folder / "pyproject.toml").open("a") as file:
        file.write('requirements = "requirements.txt"\n')

    ended = project.invoke("image.build", "--no-cache", *flags)

    refused = "no program may run while secrets are mounted, so nothing is built from source"
    warned = "warning: packages may be built from source while the secrets are mounted"
    allowed = bool(flags)
    assert (4, allowed, allowed, not allowed, allowed) == (
        ended.code,
        "BUILT " in ended.stderr,
        index.netrc in ended.stderr,
        refused in ended.stderr,
        warned in ended.stderr,
    ), ended.stderr


@pytest.mark.parametrize("client", ["20.10", "26.1-buildx"])
def test_dry_prints_where_they_are(
    client: str,
    clients: Mapping[str, Client],
    index: Private,
    name: str,
    amlenv_base: str,
    tmp_path: Path,
) -> None:
    """The command names the variable and the file, quoted as the client reads it."""
    project = write_project(tmp_path, name, amlenv_base, index, environment_of(clients[client], tmp_path))

    ended = project.invoke("--dry", "image.build")

    builder = {
        "20.10": "DOCKER_BUILDKIT=1 docker build",
        "26.1-buildx": "docker buildx build --builder default --load --provenance=false --sbom=false",
    }[client]
    expected = (
        f"invoke image.context | {builder} --platform linux/amd64 --build-arg CONTEXT_SHA256=HASH --tag {name}:1 "
        "--secret id=pip-conf,env=CONTOSO_PIP_CONF "
        f"--secret 'id=netrc,\"src={tmp_path}/login/net,rc\"' -"
    )
    assert (0, expected) == (
        ended.code,
        re.sub(r"=[0-9a-f]{64} ", "=HASH ", ended.stdout.splitlines()[-1]),
    )


def test_a_login_that_is_refused_ends_the_build_with_a_hint(
    clients: Mapping[str, Client], index: Private, name: str, amlenv_base: str, tmp_path: Path
) -> None:
    """To pip such an index is empty; the last lines say where to look, and show no password."""
    project = write_project(
        tmp_path, name, amlenv_base, index, environment_of(clients["26.1-buildx"], tmp_path)
    )
    (tmp_path / "login/net,rc").write_text(index.login.replace("alice", "mallory"))

    ended = project.invoke("image.build", "--no-cache")

    message = ended.stderr[ended.stderr.index("The Python packages cannot be installed.") :]
    expected = """\
The Python packages cannot be installed.
    Look at the image before that step: invoke image.shell
    pip could not download the packages:
        pyproject.toml:7: alpha
        pip said: No matching distribution found for alpha
        If an index refuses the login, pip finds no versions in it: check the secrets pip-conf and netrc.
        A package without a wheel is not built while secrets are mounted, for its code could read them. To allow it:
        invoke image.build --allow-source-builds
The whole log is in .azureml-image/build.log. Nothing was built.
"""
    assert (4, expected, []) == (
        ended.code,
        message[: len(expected)],
        showing({"stderr": ended.stderr.encode()}, PASSWORDS),
    )


def test_the_dockerfile_itself_insists_on_them(
    clients: Mapping[str, Client], index: Private, name: str, amlenv_base: str, tmp_path: Path
) -> None:
    """Whoever builds the context by hand and forgets a secret, or gives an empty one, gets no image."""
    project = write_project(tmp_path, name, amlenv_base, index, environment_of(clients["20.10"], tmp_path))
    context = project.invoke("image.context", "--output", str(tmp_path / "context.tar"))
    assert context.code == 0

    without = by_hand(project, tmp_path / "context.tar")
    empty = by_hand(
        project,
        tmp_path / "context.tar",
        "id=pip-conf,env=NOT_SET",
        f'id=netrc,"src={tmp_path}/login/net,rc"',
    )

    assert (1, True) == (without[0], re.search(r"secret .*not found", without[1]) is not None), without[1]
    assert (1, True) == (empty[0], "The secret pip-conf is empty.\n" in empty[1]), empty[1]


def by_hand(project: Consumer, context: Path, *secrets: str) -> tuple[int, str]:
    """How `docker build` of the archive ends with these secrets, and what it said."""
    options = [option for secret in secrets for option in ("--secret", secret)]
    with context.open("rb") as archive:
        completed = subprocess.run(
            ["docker", "build", "--progress", "plain", "--no-cache", *options, "-"],
            env={**project.env, "DOCKER_BUILDKIT": "1"},
            stdin=archive,
            capture_output=True,
            text=True,
            check=False,
        )
    return completed.returncode, completed.stdout + completed.stderr


@pytest.mark.parametrize("client", ["26.1", "none"])
def test_the_legacy_builder_is_refused(
    client: str, clients: Mapping[str, Client], index: Private, name: str, amlenv_base: str, tmp_path: Path
) -> None:
    """Without BuildKit the build is refused before any work, with the next steps, and `check` reports the same."""
    env = environment_for(client, clients, tmp_path)
    project = write_project(tmp_path, name, amlenv_base, index, env)

    ended = project.invoke("image.build", "--verbose")
    checked = project.invoke("image.check")

    expected = """\
The engine docker cannot mount secrets during a build, which the table needs.
    BuildKit mounts them. On Debian and Ubuntu: sudo apt-get install docker.io docker-buildx
    or see https://docs.docker.com/go/buildx/
    or: invoke image.build --engine acr
Nothing was built.
"""
    engine, _, message = ended.stderr.partition("\n")
    assert (3, "", expected, []) == (ended.code, ended.stdout, message, project.records())
    assert (
        3,
        expected.removesuffix("Nothing was built.\n"),
        f"engine     {engine}; cannot mount secrets during a build",
    ) == (
        checked.code,
        checked.stderr,
        next(line for line in checked.stdout.splitlines() if line.startswith("engine")),
    )


def test_a_secret_that_is_not_there_is_named_before_the_build(
    clients: Mapping[str, Client], index: Private, name: str, amlenv_base: str, tmp_path: Path
) -> None:
    """Of an empty variable BuildKit mounts nothing, and builds: what is missing is refused before."""
    project = write_project(tmp_path, name, amlenv_base, index, environment_of(clients["20.10"], tmp_path))

    ended = project.invoke("image.build", env={"CONTOSO_PIP_CONF": ""})

    expected = """\
INVOKE_AZUREML_IMAGE_SECRET_PIP_CONF: pip-conf: the variable CONTOSO_PIP_CONF is empty
    export CONTOSO_PIP_CONF="$(cat FILE)"

1 problem; nothing was built.
"""
    assert (2, "", expected, []) == (ended.code, ended.stdout, normal(ended.stderr), project.records())
