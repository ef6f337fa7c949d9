"""Much code, of which BuildKit takes only the files that have changed: the image holds what the project holds."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from tests.machine.clients import Client
from tests.real.built_project import Built, built_once
from tests.real.support import environment_of

MANY = 2100
FEW = 400
LARGE = 5_000_000
"""Bytes from which few files are staged as many are."""


@pytest.fixture(scope="module", params=[("20.10", FEW), ("26.1-buildx", MANY)], ids=lambda param: param[0])
def built(
    request: pytest.FixtureRequest,
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Built]:
    """A project with many files or a large one, built by each client that has BuildKit."""
    client, count = request.param
    scratch = tmp_path_factory.mktemp("many")
    env = environment_of(clients[client], scratch)
    files: dict[str, str | bytes] = {
        f"code/package/p{at // 100}/m{at:04}.py": f"x = {at}\n" for at in range(count)
    }
    if count == FEW:
        files["code/large.bin"] = os.urandom(LARGE)
    with built_once(docker_client, tiny_base, env, scratch, files=files) as project:
        yield project


def in_image(client: docker.DockerClient, built: Built) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, mtime and content of each file and link of the code in the image, by name."""
    container = client.containers.create(f"{built.name}:1")
    try:
        stream, _ = container.get_archive("/var/azureml-app")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            members = described(archive, "azureml-app/")
            return {name: members[name] for name in members if not name.startswith("azureml-models/")}
    finally:
        container.remove(force=True)


def described(archive: tarfile.TarFile, prefix: str) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, mtime and content of each file and link whose name begins with *prefix*, without the prefix."""
    members = {}
    for member in archive:
        if member.name.startswith(prefix) and not member.isdir():
            content = None if member.issym() else archive.extractfile(member)
            text = content.read() if content else member.linkname.encode()
            members[member.name.removeprefix(prefix)] = (stat.S_IMODE(member.mode), int(member.mtime), text)
    return members


def in_project(built: Built) -> dict[str, tuple[int, int, bytes]]:
    """Return what the image must hold: every file of the code, with a fixed time and mode."""
    code = built.project.folder / "code"
    expected = {}
    for path in code.rglob("*"):
        name = path.relative_to(code).as_posix()
        if path.is_symlink():
            expected[name] = (0o777, 315_532_800, str(path.readlink()).encode())
        elif path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            expected[name] = (mode, 315_532_800, path.read_bytes())
    return expected


def staged(built: Built) -> list[str]:
    """Return the names of the staged folders."""
    home = built.project.folder / ".azureml-image" / "staged"
    return [path.name for path in home.iterdir() if path.is_dir()]


def test_every_change_is_in_the_image(built: Built, docker_client: docker.DockerClient) -> None:
    """Of one staged folder the image gets new contents of the same size, removals, modes, links and new kinds."""
    package, names = built.project.folder / "code/package", staged(built)
    contents, expected = [in_image(docker_client, built)], [in_project(built)]

    def build() -> None:
        built.run("image.build")
        contents.append(in_image(docker_client, built))
        expected.append(in_project(built))

    status = (package / "p0/m0001.py").stat()
    (package / "p0/m0001.py").write_text("y = 1\n", encoding="utf-8")
    os.utime(package / "p0/m0001.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    (package / "p0/m0002.py").unlink()
    (package / "p0/m0003.py").chmod(0o755)
    (package / "p0/m0004.py").rename(package / "p1/m0004.py")
    build()
    (package / "p0/m0002.py").mkdir()
    (package / "p0/m0002.py/inner.py").write_text("z = 1\n", encoding="utf-8")
    (package / "p0/m0003.py").unlink()
    (package / "p0/m0003.py").symlink_to("m0001.py")
    build()
    (package / "p0/m0001.py").write_text("x = 1\n", encoding="utf-8")
    (package / "p0/m0002.py/inner.py").unlink()
    (package / "p0/m0002.py").rmdir()
    (package / "p0/m0002.py").write_text("x = 2\n", encoding="utf-8")
    build()

    assert expected == contents
    assert (1, names) == (len(names), staged(built))


def test_a_lost_or_broken_staged_folder_changes_nothing(
    built: Built, docker_client: docker.DockerClient
) -> None:
    """The image is built of the project's files, whatever happens to the copies."""
    home = built.project.folder / ".azureml-image" / "staged"
    folder = home / staged(built)[0]
    (folder / "code/package/p3/m0300.py").write_text("broken\n", encoding="utf-8")
    built.write("code/package/p3/m0301.py", "x = 'new'\n")
    built.run("image.build")
    repaired = in_image(docker_client, built)
    expected = in_project(built)
    (home / "folder.json").unlink()
    built.write("code/package/p3/m0301.py", "x = 301\n")
    built.run("image.build")

    assert expected == repaired
    assert in_project(built) == in_image(docker_client, built)
    assert [folder.name] != staged(built)


def test_the_archive_gives_the_same_image(
    built: Built, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """What is printed by `image.context` builds from BuildKit's cache, so both ways copy the same."""
    built.run("image.build")
    archive = tmp_path / "context.tar"
    built.project.invoke("image.context", "--output", str(archive))

    with tarfile.open(archive) as context:
        assert described(context, "code/") == in_image(docker_client, built)
