"""Lock files and indexes of one's own: what is installed comes from where the project says, with the hash it says."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from uv import find_uv_bin

from tests.machine.clients import Client
from tests.real.built_project import derived
from tests.real.offering import installed, packed
from tests.real.private_index import wait_for_words
from tests.real.support import (
    Consumer,
    consumer,
    environment_for,
    environment_without_docker,
    output_of,
    project_removed_after,
    removed_after,
    unique,
)
from tests.wheels import wheel

CODE = {"code/score.py": "def init(): pass\ndef run(data): return data\n"}
TABLE = """\
[project]
name = "NAME"
version = "1"
requires-python = ">=3.9"
dependencies = ["locked"]

[tool.azureml-image]
base = "BASE"
requirements = ["tor.txt", "uv.lock", "requirements.txt"]
pip = ["user"]
"""
LOOK = "from importlib.metadata import distribution as d; print(d('tor').read_text('origin.txt'))"


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """Two indexes on the engine's own network, and a base whose pip uses the first.

    Args:
        container: that serves them.
        address: its own.
        base: image reference.
        files: those that are served, by their path.
    """

    container: Container
    address: str
    base: str
    files: Mapping[str, bytes]

    def put(self, path: str, content: bytes) -> None:
        """Serve other content at *path*."""
        self.container.put_archive("/srv", packed({path: content}))


def pages(folder: Path) -> dict[str, bytes]:
    """Return the files of both indexes: `tor` is in both, what it needs and `user` are in the first."""
    files: dict[str, bytes] = {}
    offered = {
        "one": [
            wheel(folder / "one", "tor", "2.0", files={"tor-2.0.dist-info/origin.txt": "one"}),
            wheel(folder / "one", "num", "1.26"),
            wheel(folder / "one", "locked", "1.0"),
            wheel(folder / "one", "plain", "1.0", "tor"),
            wheel(folder / "one", "user", "1.0", "tor", "num<2"),
        ],
        "two": [
            wheel(folder / "two", "tor", "2.0", "num", files={"tor-2.0.dist-info/origin.txt": "two"}),
            wheel(folder / "two", "num", "2.1"),
        ],
    }
    for index, wheels in offered.items():
        for name in {path.name.partition("-")[0] for path in wheels}:
            links = [path for path in wheels if path.name.startswith(f"{name}-")]
            text = "".join(f'<a href="{path.name}#sha256={sha256(path)}">{path.name}</a>' for path in links)
            files[f"{index}/{name}/index.html"] = text.encode()
            files |= {f"{index}/{name}/{path.name}": path.read_bytes() for path in links}
    return files


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def indexes(
    docker_client: docker.DockerClient, amlenv_base: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Indexes]:
    """Both indexes in one container, so that builds of any engine reach them."""
    files, base = pages(tmp_path_factory.mktemp("indexes")), f"{unique('indexed')}:1"
    container = docker_client.containers.create(
        amlenv_base, ["python", "-u", "-m", "http.server", "8080"], working_dir="/srv", network="bridge"
    )
    try:
        container.put_archive("/srv", packed(dict(files)))
        container.start()
        wait_for_words(container)
        host = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        conf = f"[global]\\nindex-url = http://{host}:8080/one\\ntrusted-host = {host}\\n"
        with removed_after(docker_client, base):
            lines = f"FROM {amlenv_base}\nUSER root\nRUN printf '{conf}' > /etc/pip.conf\nUSER dockeruser\n"
            derived(docker_client, base, lines)
            yield Indexes(container=container, address=f"http://{host}:8080", base=base, files=files)
    finally:
        container.remove(force=True, v=True)


@pytest.fixture
def name(docker_client: docker.DockerClient) -> Iterator[str]:
    """A project's name, whose images are gone after the test."""
    project_name = unique("locks")
    with project_removed_after(docker_client, project_name):
        yield project_name


def write_project(folder: Path, name: str, indexes: Indexes, env: Mapping[str, str]) -> Consumer:
    """Return a project with a lock file that uv has made, and one package from an index of its own."""
    files = {
        **CODE,
        "pyproject.toml": TABLE.replace("NAME", name).replace("BASE", indexes.base),
        "tor.txt": f"--index-url {indexes.address}/two\ntor\n",
        "requirements.txt": "plain\n",
    }
    project = consumer(folder / "project", files, env)
    index = ["--default-index", f"{indexes.address}/one"]
    uv(project.folder, "lock", *index)
    return replace(
        project, env={**project.env, "PATH": f"{Path(find_uv_bin()).parent}:{project.env['PATH']}"}
    )


def uv(folder: Path, *words: str) -> None:
    """Run uv in *folder*, without the settings of this machine."""
    command = [find_uv_bin(), *words, "--no-config", "--no-cache"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def packages(client: docker.DockerClient, image: str) -> dict[str, str]:
    """Return the packages of the image that are those of the two indexes, and where `tor` is from."""
    names = ("locked", "num", "plain", "tor", "user")
    versions = {key: text for key, text in installed(client, image).items() if key in names}
    origin = output_of(client, image, ["python", "-c", LOOK]).decode().strip()
    return {**versions, "tor": f"{versions['tor']} of {origin}"}


EXPECTED = {"locked": "1.0", "num": "1.26", "plain": "1.0", "tor": "2.0 of two", "user": "1.0"}


def test_each_package_comes_from_its_index_and_the_lock_file_holds(
    indexes: Indexes, name: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """One table with both serves; then a wheel that differs from the lock file ends the build."""
    project = write_project(tmp_path, name, indexes, environment_without_docker(tmp_path))

    built = project.invoke("image.build")
    proven = project.invoke("image.smoke-test")
    installed_packages = packages(docker_client, f"{name}:1")
    path = "one/locked/locked-1.0-py3-none-any.whl"
    indexes.put(path, wheel(tmp_path, "locked", "1.0", files={"locked.py": "tampered"}).read_bytes())
    tampered = project.invoke("image.build", "--no-cache")
    indexes.put(path, indexes.files[path])

    assert (0, f"{name}:1\n", EXPECTED) == (built.code, built.stdout, installed_packages), built.stderr
    assert (0, f"{name}:1 passed its smoke test") == (proven.code, proven.stdout.partition(" (")[0]), (
        proven.stderr
    )
    assert (4, True, True) == (
        tampered.code,
        "THESE PACKAGES DO NOT MATCH THE HASHES" in tampered.stderr,
        tampered.stderr.endswith("Nothing was built.\n"),
    )


@pytest.mark.parametrize("client", ["26.1-buildx"])
def test_with_secrets_the_same_is_downloaded_and_installed(
    client: str,
    clients: Mapping[str, Client],
    indexes: Indexes,
    name: str,
    tmp_path: Path,
    docker_client: docker.DockerClient,
) -> None:
    """Run by run, while they are mounted; here with pylock.toml, which uv has made."""
    project = write_project(tmp_path, name, indexes, environment_for(client, clients, tmp_path))
    uv(project.folder, "export", "--format", "pylock.toml", "--output-file", "pylock.toml")
    table = (project.folder / "pyproject.toml").read_text().replace("uv.lock", "pylock.toml")
    (project.folder / "pyproject.toml").write_text(f'{table}secrets = ["netrc"]\n')
    (tmp_path / "netrc").write_text("machine example.com login alice password secret\n")

    built = project.invoke("image.build", "--secret", f"netrc={tmp_path / 'netrc'}")

    assert (0, EXPECTED) == (built.code, packages(docker_client, f"{name}:1")), built.stderr
