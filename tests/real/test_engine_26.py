"""Build, caching, secrets, smoke test and push on Docker 26.1 with images in containerd and a client with buildx."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest
import requests

from tests.machine.clients import Client
from tests.machine.registry import Registry
from tests.real.offering import installed, offering
from tests.real.private_index import Private, layers, serving, showing
from tests.real.support import (
    Consumer,
    Ended,
    consumer,
    environment_for,
    environment_of,
    output_of,
    tags_of,
    unique,
)

BUILDX = "26.1-buildx"
TABLE = """\
[project]
name = "{name}"
version = "1.0"

[tool.azureml-image]
base = "{base}"
requirements = "requirements.txt"
model = "model"
{more}
[[tool.azureml-image.smoke-test.requests]]
body = {{ numbers = [1, 2] }}
expect = {{ sum = 3 }}
"""
REQUIREMENTS = "# of {name}, so that no other build of these tests has its layers\nalpha==1.0\n"
SCORE = """\
import json


def init():
    pass


def run(data):
    return {"sum": sum(json.loads(data)["numbers"])}
"""
PASSWORDS = ("netrc-Hq2-password", "address-Vw8-password")
SECRETS = 'secrets = ["pip-conf", "netrc"]\n'
ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one `invoke image.build` left.

    Args:
        ended: how it ended.
        image: the image's ID as recorded.
        layers: the image's layers, the base's first.
    """

    ended: Ended
    image: str
    layers: list[str]


@dataclass(kw_only=True)
class Walk:
    """A project that is built again and again as it changes.

    Args:
        project: the project.
        client: the engine.
        steps: name -> what the build of this name left.
    """

    project: Consumer
    client: docker.DockerClient
    steps: dict[str, Step] = field(default_factory=dict)

    def build(self, name: str) -> None:
        """Build, and take down what there is as *name*."""
        ended = self.project.invoke("image.build")
        assert ended.code == 0, ended.stderr
        image = self.project.record("build.json")["id"]
        layers = list(self.client.images.get(image).attrs["RootFS"]["Layers"])
        self.steps[name] = Step(ended=ended, image=image, layers=layers)

    def packages(self, name: str) -> dict[str, str]:
        """Return what the environment of a step's image has installed: name -> version."""
        return installed(self.client, self.steps[name].image)

    def score(self, name: str) -> str:
        """Return the entry script of a step's image."""
        look = ["cat", "/var/azureml-app/score.py"]
        return output_of(self.client, self.steps[name].image, look).decode()


@pytest.fixture(scope="module")
def base(
    docker_client_26: docker.DockerClient, amlenv_base: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A base on this engine with an index of its own in a folder, so that nothing is fetched."""
    with offering(docker_client_26, amlenv_base, tmp_path_factory.mktemp("index")) as name:
        yield name


def write_project(
    folder: Path, name: str, base: str, env: Mapping[str, str], *, more: str = "", score: str = SCORE
) -> Consumer:
    """A project with one package and a model; *more* is added to its table."""
    files: dict[str, str | bytes] = {
        "pyproject.toml": TABLE.format(name=name, base=base, more=more),
        "requirements.txt": REQUIREMENTS.format(name=name),
        "model/weights.bin": os.urandom(5_000_000),  # so that caching what is below the code pays
        "code/score.py": score,
    }
    return consumer(folder / name, files, env)


@pytest.fixture
def env(engine_26: str, clients: Mapping[str, Client], tmp_path: Path) -> dict[str, str]:
    """An environment with the client that has buildx, which talks to this engine."""
    return {**environment_of(clients[BUILDX], tmp_path), "DOCKER_HOST": engine_26}


@pytest.fixture
def name(docker_client_26: docker.DockerClient) -> Iterator[str]:
    """A project's name, of which the engine has no image after the test."""
    project_name = unique("engine-26")
    yield project_name
    for tag in tags_of(docker_client_26, project_name):
        docker_client_26.images.remove(tag, force=True)


@pytest.fixture(scope="module", params=[BUILDX, "none"])
def walk(
    request: pytest.FixtureRequest,
    docker_client_26: docker.DockerClient,
    engine_26: str,
    base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Walk]:
    """The first build, one without a change, one line of code changed, and one requirement added, by each builder."""
    scratch, name = tmp_path_factory.mktemp("walk"), unique("engine-26")
    env = {**environment_for(str(request.param), clients, scratch), "DOCKER_HOST": engine_26}
    project = write_project(scratch, name, base, env)
    steps = Walk(project=project, client=docker_client_26)
    try:
        steps.build("first")
        steps.build("no change")
        (project.folder / "code/score.py").write_text(f"{SCORE}\nCHANGED = True\n")
        steps.build("line")
        (project.folder / "requirements.txt").write_text(f"{REQUIREMENTS.format(name=name)}gamma==1.0\n")
        steps.build("requirement")
        yield steps
    finally:
        for tag in tags_of(docker_client_26, name):
            docker_client_26.images.remove(tag, force=True)


def test_the_first_build_has_everything(walk: Walk) -> None:
    """The image has the package, the entry script and the base's layers below its own."""
    first, base = walk.steps["first"], walk.client.images.get(of_base(walk)).attrs["RootFS"]["Layers"]

    assert f"{walk.project.folder.name}:1.0\n" == first.ended.stdout
    assert ("1.0", SCORE) == (walk.packages("first").get("alpha"), walk.score("first"))
    assert base == first.layers[: len(base)]
    assert len(first.layers) > len(base)


def test_nothing_is_built_without_a_change(walk: Walk) -> None:
    """The image stays, and no builder is asked."""
    first, same = walk.steps["first"], walk.steps["no change"]

    assert (first.image, first.ended.stdout) == (same.image, same.ended.stdout)
    assert not asked_pip(same)


def test_a_changed_line_rebuilds_the_code_alone(walk: Walk) -> None:
    """The layers below the code are those of before."""
    first, changed = walk.steps["first"], walk.steps["line"]

    assert f"{SCORE}\nCHANGED = True\n" == walk.score("line")
    assert (first.layers[:-1], len(first.layers)) == (changed.layers[:-1], len(changed.layers))
    assert first.layers[-1] != changed.layers[-1]
    assert not asked_pip(changed)


def test_an_added_requirement_is_installed_on_what_is_there(walk: Walk) -> None:
    """The cached layers of before are below those of the new package."""
    changed, added = walk.steps["line"], walk.steps["requirement"]

    packages = walk.packages("requirement")
    assert {"alpha": "1.0", "gamma": "1.0"} == {key: packages.get(key) for key in ("alpha", "gamma")}
    assert f"{SCORE}\nCHANGED = True\n" == walk.score("requirement")
    assert changed.layers[:-1] == added.layers[: len(changed.layers) - 1], added.ended.stderr
    assert ["gamma-1.0"] == asked_pip(added), added.ended.stderr


def test_a_login_shows_nowhere(
    docker_client_26: docker.DockerClient,
    amlenv_base: str,
    name: str,
    env: Mapping[str, str],
    tmp_path: Path,
) -> None:
    """Packages come from an index with logins, which neither the output nor any part of the image holds."""
    with serving(
        docker_client_26, amlenv_base, tmp_path / "index", netrc=PASSWORDS[0], address=PASSWORDS[1]
    ) as index:
        ended, project = with_login(index, name, amlenv_base, env, tmp_path)

    assert (0, f"{name}:1.0\n") == (ended.code, ended.stdout), ended.stderr
    packages = installed(docker_client_26, f"{name}:1.0")
    assert {"alpha": "1.0", "beta": "1.0"} == {word: packages.get(word) for word in ("alpha", "beta")}
    shown = {
        "output": (ended.stdout + ended.stderr).encode(),
        "history": json.dumps(docker_client_26.images.get(f"{name}:1.0").history()).encode(),
        **{path.name: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()},
        **{str(at): part for at, part in enumerate(layers(docker_client_26, f"{name}:1.0", tmp_path))},
    }
    assert [] == showing(shown, PASSWORDS)
    assert [] != showing(shown, [SCORE.splitlines()[0]])  # the image's parts were read


def test_what_passes_is_pushed_and_nothing_else(
    docker_client_26: docker.DockerClient,
    base: str,
    name: str,
    env: Mapping[str, str],
    registry: Registry,
    tmp_path: Path,
) -> None:
    """A wrong answer is exit code 5, and the registry has nothing of it; then the digest is the registry's.

    A second push sends the same.
    """
    project = write_project(tmp_path, name, base, env, score=SCORE.replace("sum(", "max("))
    failed = project.invoke("image.release", "--registry", registry.host)
    assert failed.code == 5, failed.stderr
    assert "smoke-test.json" not in project.records()
    assert registry_digest(registry, name, "1.0") == ""

    (project.folder / "code/score.py").write_text(SCORE)
    ended = project.invoke("image.release", "--registry", registry.host)
    again = project.invoke("image.push", "--registry", registry.host)

    digest = registry_digest(registry, name, "1.0")
    reference = f"{registry.host}/{name}@{digest}"
    assert (0, reference) == (ended.code, ended.stdout.splitlines()[-1]), ended.stderr
    assert (0, reference) == (again.code, again.stdout.splitlines()[-1]), again.stderr
    assert digest == project.record("result.json")["digest"]
    assert [] == docker_client_26.containers.list(
        all=True, filters={"ancestor": f"{registry.host}/{name}:1.0"}
    )


def with_login(
    index: Private, name: str, base: str, env: Mapping[str, str], folder: Path
) -> tuple[Ended, Consumer]:
    """Build a project whose packages are in the private index *index*."""
    project = write_project(
        folder, name, base, {**env, "CONTOSO_PIP_CONF": index.conf}, more='pip = ["beta"]\n' + SECRETS
    )
    (folder / "net,rc").write_text(index.login)
    flags = ("--secret=pip-conf=env:CONTOSO_PIP_CONF", "--secret=netrc=../net,rc")
    return project.invoke("image.build", *flags), project


def of_base(walk: Walk) -> str:
    """The base of the project."""
    match = re.search(r'^base = "(.+)"$', (walk.project.folder / "pyproject.toml").read_text(), re.MULTILINE)
    assert match
    return match.group(1)


def asked_pip(step: Step) -> list[str]:
    """The packages that pip has installed in this build, such as `alpha-1.0`."""
    lines = re.findall(r"Successfully installed (.+)", step.ended.stderr)
    return [word for line in lines for word in line.split()]


def registry_digest(registry: Registry, repository: str, tag: str) -> str:
    """The digest of a tag, asked from the registry itself; empty if it does not have it."""
    address = f"http://{registry.host}/v2/{repository}/manifests/{tag}"
    answer = requests.head(address, headers={"Accept": ACCEPT}, timeout=60)
    return answer.headers.get("Docker-Content-Digest", "")
