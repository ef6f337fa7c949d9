"""No project decides what another one is built on: neither by an image's name, nor by what lies in pip's cache."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.commands.run_plan import plan_image
from azureml_tasks.incremental.cached_layers import NO_REGISTRY, cached_layers_of, kept_name
from azureml_tasks.incremental.fingerprint import fingerprint_parts
from tests.machine.clients import Client
from tests.real.built_project import Built, built_once, derived
from tests.real.offering import packed
from tests.real.support import (
    Consumer,
    Ended,
    consumer,
    environment_for,
    output_of,
    project_removed_after,
    removed_after,
    tags_of,
    unique,
)

LARGE = 5_000_000
EVIL = "/var/azureml-app/evil"


def engine_of(request: pytest.FixtureRequest, name: str) -> docker.DockerClient:
    """Return the SDK's client of the engine of this *name*."""
    client: docker.DockerClient = request.getfixturevalue(
        "docker_client_26" if name == "26.1" else "docker_client"
    )
    return client


@pytest.fixture(
    scope="module",
    params=[("20.10", "26.1-buildx"), ("20.10", "none"), ("26.1", "20.10"), ("26.1", "26.1")],
    ids=lambda param: f"engine {param[0]}, client {param[1]}",
)
def victim(
    request: pytest.FixtureRequest,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Built, docker.DockerClient]]:
    """A project with cached layers, which was built once, and the engine that has them."""
    engine, client = request.param
    engine_client, scratch = engine_of(request, engine), tmp_path_factory.mktemp("victim")
    env = environment_for(client, clients, scratch)
    if engine == "26.1":
        env["DOCKER_HOST"] = request.getfixturevalue("engine_26")
    files = {"model/weights.bin": os.urandom(LARGE)}
    with built_once(engine_client, tiny_base, env, scratch, files=files) as built:
        yield built, engine_client


def poison(client: docker.DockerClient, below: str, *names: str) -> str:
    """Give these *names* to an image with a file of its own on top of *below*, and return its ID."""
    evil = f"{unique('evil')}:1"
    derived(client, evil, f"FROM {below}\nUSER root\nRUN mkdir -p /var/azureml-app && echo evil > {EVIL}\n")
    image = client.images.get(evil)
    for name in names:
        image.tag(*name.rsplit(":", 1))
    client.images.remove(evil)
    return str(image.id)


def layers(client: docker.DockerClient, image: str) -> list[str]:
    """Return the layers of an image, the base's first."""
    return [*map(str, client.images.get(image).attrs["RootFS"]["Layers"])]


def has_evil(client: docker.DockerClient, image: str) -> bool:
    """Return whether an image has the file of `poison`."""
    shown = output_of(client, image, ["/bin/sh", "-c", f"ls {EVIL} 2>&1; true"])
    return shown == f"{EVIL}\n".encode()


def test_the_name_of_cached_layers_proves_nothing(victim: tuple[Built, docker.DockerClient]) -> None:
    """A changed line is built on the layers that were recorded, whatever now has their name; no other name is left."""
    built, client = victim
    (name,) = tags_of(client, f"{NO_REGISTRY}/{built.name}/layers:")
    cached = layers(client, name)
    evil = poison(client, name, name)
    assert has_evil(client, name)

    built.write("code/helper.py", "x = 2\n")
    built.run("image.build")

    assert (cached, False) == (layers(client, built.id)[: len(cached)], has_evil(client, built.id))
    assert [name] == tags_of(client, f"{NO_REGISTRY}/{built.name}/layers:")
    assert cached == layers(client, name)
    built_here = client.api.images(
        filters={"label": f"of={built.name}"}
    )  # others are built on this engine too
    names = [tag for image in built_here for tag in image["RepoTags"] or ()]
    assert name in names
    assert [] == [tag for tag in names if tag.startswith(f"{NO_REGISTRY}/run:")]
    client.images.remove(evil, force=True)


def test_nothing_is_used_that_the_project_has_not_built(
    victim: tuple[Built, docker.DockerClient], tmp_path: Path
) -> None:
    """On a machine that has built nothing, an image under every name that follows from public sources is not used."""
    built, client = victim
    folder = tmp_path / "other" / built.name
    files = {
        str(path.relative_to(built.project.folder)): path.read_bytes()
        for path in built.project.folder.rglob("*")
        if path.is_file() and ".azureml-image" not in path.parts
    }
    other = consumer(folder, files, built.project.env)
    plan, context = plan_image(RunContext(folder=folder, reporter=Console()))
    base = str(client.images.get(built.base).id)
    tags = [each.tag for each in cached_layers_of(plan, fingerprint_parts(plan, context, base))]
    names = [kept_name(plan, tag) for tag in tags]
    names += [f"{NO_REGISTRY}/{built.name}/layers:{tag}" for tag in tags]
    evil = poison(client, built.base, *names)

    ended = other.invoke("image.build")

    assert ended.code == 0, ended.stderr
    image = other.record("build.json")["id"]
    assert (False, False) == (has_evil(client, image), "using cached layers" in ended.stderr)
    assert layers(client, evil)[-1] not in layers(client, image)
    client.images.remove(evil, force=True)
    other.invoke("image.clean")


BACKEND = '''\
"""Builds a wheel of one module, which says who has built it; the attacker's replaces the wheels in pip's cache."""
import base64, hashlib, os, pathlib, zipfile


def build(folder, name, who):
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}_who.py": f"WHO = {who!r}\\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        lines.append(f"{path},sha256={digest},")
    files[f"{info}/RECORD"] = "\\n".join([*lines, f"{info}/RECORD,,", ""])
    file = pathlib.Path(folder, f"{name}-1.0-py3-none-any.whl")
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if "NAME" == "mallory":
        for file in pathlib.Path(os.environ["PIP_CACHE_DIR"]).rglob("alpha-*.whl"):
            build(file.parent, "alpha", "mallory")
    return build(wheel_directory, "NAME", "honest")
'''
TABLE = """\
[project]
name = "NAME"
version = "1"

[tool.azureml-image]
base = "BASE"
pip = ["PACKAGE==1.0"]
run = [{ after = "apt", command = "echo STEP" }]
"""


def sdist(name: str) -> bytes:
    """Return a source distribution that builds itself, without any package for that."""
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND.replace("NAME", name),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


FROM_INDEX = """\
FROM BASE
USER root
COPY index /index
COPY pip.conf /etc/pip.conf
USER dockeruser
"""


@pytest.fixture
def index(docker_client: docker.DockerClient, amlenv_base: str) -> Iterator[str]:
    """A base with an index in a folder, where both packages are sources that pip must build."""
    name = f"{unique('sources')}:1"
    files = {
        "Dockerfile": FROM_INDEX.replace("BASE", amlenv_base).encode(),
        "pip.conf": b"[global]\nno-index = true\nfind-links = /index\n",
        **{f"index/{package}-1.0.tar.gz": sdist(package) for package in ("alpha", "mallory")},
    }
    with removed_after(docker_client, name):
        docker_client.images.build(
            fileobj=io.BytesIO(packed(files)), custom_context=True, tag=name, rm=True, nocache=True
        )
        yield name


def project(folder: Path, name: str, base: str, package: str, env: Mapping[str, str]) -> Consumer:
    """Return a project that installs one package."""
    table = TABLE.replace("NAME", name).replace("BASE", base).replace("PACKAGE", package)
    files: dict[str, str | bytes] = {
        "pyproject.toml": table.replace("STEP", "one"),
        "code/score.py": "def init(): pass\ndef run(data): return data\n",
    }
    return consumer(folder / name, files, env)


def who_built(client: docker.DockerClient, image: str) -> str:
    """Return what the installed package says."""
    command = ["python", "-c", "import alpha_who; print(alpha_who.WHO)"]
    return output_of(client, image, command).decode().strip()


def test_a_wheel_in_pips_cache_is_of_its_own_project_and_scope(
    docker_client: docker.DockerClient, index: str, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """What a package does to the cache that it sees does not reach other projects, nor another scope of the same one.

    In one folder, as on a CI machine, a pull request that is built before main does not touch main's caches.
    """
    env, name = environment_for("26.1-buildx", clients, tmp_path), unique("victim")
    victim = project(tmp_path, name, index, "alpha", env)
    attacker = project(tmp_path, unique("attacker"), index, "mallory", env)
    table = victim.folder / "pyproject.toml"
    text = table.read_text(encoding="utf-8")

    def build(step: int, scope: str, package: str) -> Ended:
        changed = text.replace("alpha", package).replace("echo one", f"echo {step}")
        table.write_text(changed, encoding="utf-8")
        return victim.invoke("image.build", env={"INVOKE_AZUREML_IMAGE_CACHE_SCOPE": scope})

    with (
        project_removed_after(docker_client, name),
        project_removed_after(docker_client, attacker.folder.name),
    ):
        ended = [
            build(1, "main", "alpha"),
            attacker.invoke("image.build", env={"INVOKE_AZUREML_IMAGE_CACHE_SCOPE": "main"}),
            build(2, "pull", "mallory"),
            build(3, "main", "alpha"),
        ]

        assert [0, 0, 0, 0] == [command.code for command in ended], ended[-1].stderr
        # Without that, nothing would be proven: pip has taken the wheel from its cache.
        assert "Using cached alpha" in ended[-1].stderr, ended[-1].stderr
        assert "honest" == who_built(docker_client, f"{name}:1")
