"""What stands below the code is an image of its own on the local engine, so that a changed line is built alone."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.machine.clients import Client
from tests.machine.registry import Registry
from tests.real.fast import Built, built_once, derived
from tests.real.support import environment_for, environment_of, removed_after, unique

MORE = """\
cached-layers-max-age = 7

[[tool.azureml-image.run]]
after = "apt"
user = "runtime"
command = "cat /proc/uptime > /tmp/when"

[[tool.azureml-image.run]]
after = "apt"
command = "mkdir -p /var/azureml-app && chown 1000:50 /var/azureml-app && chmod 710 /var/azureml-app && chmod 711 /var"
"""
MODEL = "model/weights.bin"
LARGE = 5_000_000


@dataclass(kw_only=True)
class Walk:
    """A project that is built again and again, each time with one thing changed.

    Args:
        built: the project.
        client: of the engine.
        said: step -> what was said of prefixes.
        ids: step -> the image's id.
        prefixes: step -> the prefixes that are there after it, name -> id.
    """

    built: Built
    client: docker.DockerClient
    said: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    prefixes: dict[str, dict[str, str]] = field(default_factory=dict)

    def step(self, name: str) -> None:
        """Build, and note what came of it."""
        said = "\n".join(self.built.said("image.build"))
        self.note(name, said)

    def note(self, name: str, said: str) -> None:
        """Take down what was said and what is there."""
        lines = re.sub(r"/prefix:[0-9a-f]{32}", "/prefix:TAG", said).splitlines()
        self.said[name] = [line for line in lines if "/prefix:TAG" in line and not line.startswith("#")]
        self.ids[name] = self.built.id
        images = self.client.images.list(name=f"{self.built.name}/prefix")
        self.prefixes[name] = {tag: str(image.id) for image in images for tag in image.tags}


@pytest.fixture(scope="module", params=["26.1-buildx", "none"])
def changed(
    request: pytest.FixtureRequest,
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Walk]:
    """A project whose code has changed since it was built, by BuildKit and by the legacy builder."""
    scratch, client = tmp_path_factory.mktemp("prefixes"), str(request.param)
    env = environment_for(client, clients, scratch)
    with walking(docker_client, tiny_base, env, scratch) as walk:
        walk.built.write("code/helper.py", "x = 2\n")
        walk.step("code")
        yield walk


@contextmanager
def walking(
    client: docker.DockerClient, tiny_base: str, env: Mapping[str, str], folder: Path
) -> Iterator[Walk]:
    """A project that was built once."""
    files = {MODEL: os.urandom(LARGE)}
    with built_once(client, tiny_base, env, folder, more=MORE, files=files) as built:
        walk = Walk(built=built, client=client)
        walk.note("first", built.first.stderr.replace(built.name, "NAME"))
        yield walk


def test_a_changed_line_is_built_alone(changed: Walk) -> None:
    """The first build keeps what stands below the code; the second builds on just that, and sends the code alone."""
    assert ["kept for the next build: NAME/prefix:TAG"] == changed.said["first"]
    assert ["as before, and here: NAME/prefix:TAG"] == changed.said["code"]
    ((name, prefix),) = changed.prefixes["first"].items()
    assert {name: prefix} == changed.prefixes["code"]
    below, *images = (
        changed.client.images.get(one).attrs["RootFS"]["Layers"] for one in (prefix, *changed.ids.values())
    )
    assert [below, below] == [layers[:-1] for layers in images]
    assert images[0] != images[1]


def test_buildkit_copies_the_code(changed: Walk) -> None:
    """The engine's own does, whatever docker's client has, and the history of what is below is as it was."""
    (prefix,) = changed.prefixes["code"].values()
    images = (changed.client.images.get(one) for one in (prefix, changed.ids["code"]))
    below, whole = ([_told(step) for step in image.history()] for image in images)

    ours = whole[: -len(below)]
    assert below == whole[len(ours) :]
    assert ["LABEL ", "COPY code/ /var/azureml-app/ # buildkit", "USER ", "ENV "] == [
        re.sub(r"(ENV |LABEL |USER ).*", r"\1", str(step["CreatedBy"])) for step in ours
    ]
    assert {"buildkit.dockerfile.v0"} == {step["Comment"] for step in ours}


def _told(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("Created", "CreatedBy", "Size", "Comment")}


def test_it_can_be_pushed_and_pulled(changed: Walk, registry: Registry) -> None:
    """What a registry gives back is the same image, byte for byte, and a container of it has the changed file."""
    name = f"{registry.host}/{changed.built.name}"
    made = changed.client.images.get(changed.ids["code"])
    with removed_after(changed.client, f"{name}:1"):
        made.tag(name, "1")
        changed.client.images.push(name, tag="1")
        changed.client.images.remove(f"{name}:1")

        pulled = changed.client.images.pull(name, tag="1")

        shown = changed.client.containers.run(f"{name}:1", ["cat", "/var/azureml-app/helper.py"], remove=True)
    assert (made.id, b"x = 2\n") == (pulled.id, shown)


def test_it_is_the_image_of_one_piece(changed: Walk, tmp_path: Path) -> None:
    """What any builder makes of the whole context at once has the same files, variables, user, labels and command."""
    packed, name = tmp_path / "context.tar", f"{changed.built.name}:whole"
    assert changed.built.there.invoke("image.context", "--output", str(packed)).code == 0
    sha256 = changed.built.there.record("build.json")["context_sha256"]
    with packed.open("rb") as archive, removed_after(changed.client, name):
        changed.client.images.build(
            fileobj=archive, custom_context=True, buildargs={"CONTEXT_SHA256": sha256}, tag=name, rm=True
        )

        found = [about(changed.client, one) for one in (name, changed.ids["code"])]

    assert found[0] == found[1]
    assert {"var/azureml-app/helper.py", "var/azureml-app/azureml-models/weights.bin"} <= found[0][1].keys()


def about(client: docker.DockerClient, image: str) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """What a container would see: the image's configuration, and each file with its kind, mode, owner and content."""
    names = ("Env", "User", "Cmd", "Entrypoint", "Labels", "WorkingDir", "ExposedPorts", "Volumes")
    config = client.images.get(image).attrs["Config"]
    made = client.containers.create(image)
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(map(_bytes, made.export())))) as archive:
            files = {member.name: _seen(archive, member) for member in archive}
    finally:
        made.remove()
    files.pop("tmp/when")  # The command of the project prints another time in each build.
    return {name: config.get(name) or None for name in names}, files


def _bytes(block: Any) -> bytes:
    """A block of an export, which the stubs take for text."""
    return bytes(block)


def _seen(archive: tarfile.TarFile, member: tarfile.TarInfo) -> list[Any]:
    content = archive.extractfile(member) if member.isreg() else None
    sha256 = hashlib.sha256(content.read()).hexdigest() if content else ""
    return [member.type, member.mode, member.uid, member.gid, member.linkname, sha256]


# Where something lies already

TAKEN = {
    "a link of that name": "RUN mkdir -p /var/azureml-app && ln -s /etc/passwd /var/azureml-app/helper.py",
    "a link in place of the folder": "RUN mkdir -p /srv/app /var && ln -s /srv/app /var/azureml-app",
}


@pytest.mark.parametrize("there", TAKEN)
def test_what_lies_there_is_written_over(
    there: str,
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path: Path,
) -> None:
    """The code is where the base's links lead, as it would be in one piece, and no container is left of the build."""
    base, env = f"{unique('base')}:1", environment_of(clients["26.1-buildx"], tmp_path)
    with removed_after(docker_client, base):
        derived(docker_client, base, f"FROM {tiny_base}\nUSER root\n{TAKEN[there]}\nUSER dockeruser\n")
        with walking(docker_client, base, env, tmp_path) as walk:
            walk.built.write("code/helper.py", "x = 2\n")

            walk.step("code")

            look = ["cat", "/var/azureml-app/helper.py"]
            shown = docker_client.containers.run(f"{walk.built.name}:1", look, remove=True)
            left = docker_client.containers.list(all=True, filters={"ancestor": base})
    assert (["as before, and here: NAME/prefix:TAG"], b"x = 2\n", []) == (walk.said["code"], shown, left)


def test_what_a_base_asks_of_who_builds_on_it_is_done(
    docker_client: docker.DockerClient, tiny_base: str, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """Its instructions are carried out by the engine's own reader of Dockerfiles, and it is said why that is asked."""
    env, file = environment_of(clients["26.1-buildx"], tmp_path), "/tmp/asked-for"  # noqa: S108 -- in an image
    with built_once(docker_client, tiny_base, env, tmp_path) as built:
        derived(
            docker_client,
            built.base,
            f"FROM {tiny_base}\nLABEL of={built.name}\nONBUILD RUN echo done > {file}\n",
        )

        said = built.said("image.build")

        shown = docker_client.containers.run(f"{built.name}:1", ["cat", file], remove=True)
    why = "the image below has instructions for who builds on it"
    assert (True, b"done\n") == (f"not in this way, so another is taken: {why}" in said, shown)


# What becomes of it over time


@pytest.fixture(scope="module")
def walk(
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Walk]:
    """A project whose model changes twice, and whose prefix then becomes too old."""
    scratch = tmp_path_factory.mktemp("walk")
    env = environment_of(clients["26.1-buildx"], scratch)
    with walking(docker_client, tiny_base, env, scratch) as found:
        for name in ("model", "another model"):
            (found.built.there.folder / MODEL).write_bytes(os.urandom(LARGE))
            found.step(name)
        found.built.replaced("cached-layers-max-age = 7", "cached-layers-max-age = 0")
        found.step("too old")
        yield found


KEPT = "kept for the next build: NAME/prefix:TAG"


def test_a_changed_model_is_kept_beside_the_one_before(walk: Walk) -> None:
    """There are two at most, that of the image and the one before it, to go back to; what is older is removed."""
    first, model, another = (walk.prefixes[name] for name in ("first", "model", "another model"))

    assert [[KEPT], [KEPT, "removed NAME/prefix:TAG, which is of no use any more"]] == [
        walk.said["model"],
        walk.said["another model"],
    ]
    assert [1, 2, 2] == [len(first), len(model), len(another)]
    assert (first.items() <= model.items(), first.keys() & another.keys()) == (True, set())
    assert len(model.items() & another.items()) == 1


def test_what_is_not_pinned_is_built_anew_in_time(walk: Walk) -> None:
    """Where the project's command may give something else by now, a prefix that is too old is made without a cache."""
    before, after = walk.prefixes["another model"], walk.prefixes["too old"]

    too_old = "NAME/prefix:TAG is too old: its packages are not pinned, and newer ones may be there"
    assert [too_old, KEPT] == walk.said["too old"]
    assert (before.keys(), 1) == (after.keys(), len(before.items() & after.items()))
    times = [
        walk.client.containers.run(walk.ids[name], ["cat", "/tmp/when"], remove=True)  # noqa: S108 -- in an image
        for name in ("another model", "too old")
    ]
    assert times[0] != times[1]
