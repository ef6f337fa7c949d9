"""A Dockerfile of the project's own: built by each builder, smoke-tested on its port and pushed."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.real.own_dockerfile import example
from tests.real.pushed import digest_of
from tests.real.support import Consumer, consumer, environment_for, normal, output_of, removed_after, unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import docker

    from tests.machine.clients import Client
    from tests.machine.registry import Registry

CLIENTS = ("none", "20.10", "26.1-buildx")
LAYOUT = """\
FROM BASE AS files
USER root
COPY . /all/
RUN ls -A /all > /found

FROM files
USER dockeruser
CMD ["sleep", "600"]
"""
"""Copies all that the builder gets, and notes it."""


def small(name: str, base: str, text: str = LAYOUT, **more: str) -> dict[str, str]:
    """Return the files of a project on the tiny base."""
    table = f'[project]\nname = "{name}"\nversion = "1"\n\n[tool.azureml-image]\n'
    return {
        "pyproject.toml": f'{table}dockerfile = "Dockerfile"\n',
        "Dockerfile": text.replace("BASE", base),
        **more,
    }


@pytest.fixture(scope="module")
def released(
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    amlenv_base: str,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Consumer, list[Any]]]:
    """Release the example of the page by the legacy builder, then build and release it again; return all that ended."""
    name, scratch = unique("own"), tmp_path_factory.mktemp("own")
    env = environment_for("none", clients, scratch)
    files = example(
        name, amlenv_base, more=f'registry = "{registry.host}"\nlabels = {{ team = "a \\"b\\" $c" }}'
    )
    project = consumer(scratch / name, files, env)
    with removed_after(docker_client, f"{registry.host}/{name}:1.0"):
        ended = [project.invoke("image.release"), project.invoke("image.build"), project.invoke("image.push")]
        ended.append(project.invoke("image.environment"))
        yield project, ended


def test_the_example_is_released(
    released: tuple[Consumer, list[Any]], registry: Registry, docker_client: docker.DockerClient
) -> None:
    """It is proven on its port, with its health check, and pushed by its digest, with the labels of the table."""
    project, (release, *_) = released
    name = project.folder.name

    assert release.code == 0, release.stderr
    assert f"{registry.host}/{name}@{digest_of(registry, name, '1.0')}" == release.stdout.splitlines()[-1]
    smoke = project.record("result.json")["smoke"]
    assert ["start-up", "request 1", "malformed body"] == [check["name"] for check in smoke["checks"]]
    assert (True, []) == (smoke["passed"], smoke["warnings"])
    config = docker_client.images.get(f"{registry.host}/{name}:1.0").attrs["Config"]
    labels = config["Labels"]
    assert ("dockeruser", 'a "b" $c') == (config["User"], labels["team"])
    assert (name, "1.0") == tuple(labels[f"org.opencontainers.image.{key}"] for key in ("title", "version"))
    assert labels["azureml-tasks.context-sha256"] == project.record("build.json")["context_sha256"]
    assert "dockeruser" == project.record("build.json")["user"]


def test_a_build_without_a_change_runs_and_gives_the_same_image(
    released: tuple[Consumer, list[Any]],
) -> None:
    """There is no "nothing to build", and the pass of the same image still counts, so it can be pushed again."""
    _, (release, build, push, _) = released

    assert (0, 0) == (build.code, push.code), build.stderr + push.stderr
    assert "nothing to build" not in build.stderr
    assert "Using cache" in build.stderr
    assert release.stdout.splitlines()[-1] == push.stdout.splitlines()[-1]


def test_the_environment_has_its_port_and_paths(released: tuple[Consumer, list[Any]]) -> None:
    """`image.environment` writes the routes of the smoke test."""
    _, (*_, environment) = released

    health = {"port": 8080, "path": "/healthz"}
    scoring = {"port": 8080, "path": "/predict"}
    routes = yaml.safe_load(environment.stdout)["inference_config"]
    assert {"liveness_route": health, "readiness_route": health, "scoring_route": scoring} == routes


@pytest.fixture(scope="module")
def build(
    docker_client: docker.DockerClient,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., tuple[Consumer, Any]]]:
    """Build files with a client; the images are removed after the module."""
    with ExitStack() as after:

        def once(client: str, name: str, files: Mapping[str, str]) -> tuple[Consumer, Any]:
            scratch = tmp_path_factory.mktemp("builder")
            after.enter_context(removed_after(docker_client, f"{name}:1"))
            project = consumer(scratch / name, files, environment_for(client, clients, scratch))
            return project, project.invoke("image.build")

        yield once


def test_every_builder_gets_the_same_files(
    build: Callable[..., tuple[Consumer, Any]], tiny_base: str, docker_client: docker.DockerClient
) -> None:
    """What the ignore files leave out is not copied, also if it is the Dockerfile itself; the rest is."""
    more = {".dockerignore": "Dockerfile\nignored\ntasks.py\n", "ignored": "", "kept/a": ""}
    contents = {}
    for client in CLIENTS:
        name = unique("own-layout")
        files = small(name, tiny_base, **more)
        files["pyproject.toml"] += 'exclude = ["pyproject.toml"]\n'
        _, ended = build(client, name, files)
        assert ended.code == 0, ended.stderr
        printed = output_of(docker_client, f"{name}:1", ["cat", "/found"])
        labels = docker_client.images.get(f"{name}:1").labels
        contents[client] = (printed.decode().split(), labels["azureml-tasks.context-sha256"])

    assert [[".dockerignore", "kept"]] * len(CLIENTS) == [listed for listed, _ in contents.values()]
    assert len({sha256 for _, sha256 in contents.values()}) == 1


@pytest.mark.parametrize("client", ["none", "26.1-buildx"])
def test_what_several_builds_left_is_removed(
    client: str,
    build: Callable[..., tuple[Consumer, Any]],
    tiny_base: str,
    docker_client: docker.DockerClient,
) -> None:
    """A build whose files have changed takes the name; the image before it goes with `image.clean`."""
    name, files = named(tiny_base, LAYOUT)
    project, first = build(client, name, files)
    (project.folder / "more").touch()
    second, cleaned = project.invoke("image.build"), project.invoke("image.clean")

    assert [0, 0, 0] == [ended.code for ended in (first, second, cleaned)], second.stderr + cleaned.stderr
    expected = [f"removed {name}:1", "removed sha256:ID", "removed .azureml-image"]
    assert expected == normal(cleaned.stdout).splitlines()
    label = f"org.opencontainers.image.title={name}"
    assert [] == docker_client.api.images(all=True, filters={"label": label})


MOUNTED = LAYOUT.replace("RUN ls", "RUN --mount=type=tmpfs,target=/mounted ls")


def test_what_only_buildkit_can_do(build: Callable[..., tuple[Consumer, Any]], tiny_base: str) -> None:
    """An engine without BuildKit ends with exit code 3 and the way to get it; with BuildKit the image is built."""
    _, refused = build("none", *named(tiny_base, MOUNTED))
    _, ended = build("26.1-buildx", *named(tiny_base, MOUNTED))

    assert (3, "") == (refused.code, refused.stdout)
    problem = "The engine docker cannot build with BuildKit, which Dockerfile needs: RUN --mount (line 4)."
    assert problem in refused.stderr
    assert "sudo apt-get install docker.io docker-buildx" in refused.stderr
    assert ended.code == 0, ended.stderr


def named(base: str, text: str) -> tuple[str, dict[str, str]]:
    """Return a name that no other test uses, and the files of a project of this name."""
    name = unique("own-small")
    return name, small(name, base, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "FROM BASE AS a\nFROM scratch\nCOPY --from=a / /\n",
            "runs as root: its USER is not set, and starts nothing: it has neither CMD nor ENTRYPOINT.",
        ),
        ("FROM BASE\nUSER nobody-knows\n", "has USER nobody-knows, which is not in its /etc/passwd."),
    ],
)
def test_an_image_that_cannot_serve_is_not_kept(
    text: str,
    words: str,
    build: Callable[..., tuple[Consumer, Any]],
    tiny_base: str,
    docker_client: docker.DockerClient,
) -> None:
    """User and command are looked at after the build; the image gets no name and no record."""
    name, files = named(tiny_base, text)

    project, ended = build("none", name, files)

    assert (4, "") == (ended.code, ended.stdout), ended.stderr
    assert f"The image of Dockerfile {words}" in ended.stderr
    assert "The image was built, and is not kept." == ended.stderr.splitlines()[-1]
    assert [] == docker_client.images.list(name=name)
    assert "build.json" not in project.records()


def test_the_printed_command_builds_the_same(
    clients: Mapping[str, Client], tiny_base: str, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """What --dry prints can be pasted: the archive holds the Dockerfile, and the labels are options."""
    name, files = named(tiny_base, LAYOUT)
    env = environment_for("26.1-buildx", clients, tmp_path)
    project = consumer(tmp_path / name, files, env)

    printed = project.invoke("--dry", "image.build").stdout
    with removed_after(docker_client, f"{name}:1"):
        archive = project.invoke("image.context", "--output", "context.tar")
        command = printed.splitlines()[0].partition(" | ")[2].removeprefix("DOCKER_BUILDKIT=1 ")
        with (project.folder / "context.tar").open("rb") as context:
            subprocess.run(shlex.split(command), stdin=context, env=dict(env), check=True)

        labels = docker_client.images.get(f"{name}:1").labels
    assert archive.code == 0, archive.stderr
    assert (name, 64) == (
        labels["org.opencontainers.image.title"],
        len(labels["azureml-tasks.context-sha256"]),
    )
