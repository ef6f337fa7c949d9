"""Layers below the code are an image of their own on the engine, so that a changed line builds only the code."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import docker
import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands import pipeline
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.context.build_context import BuildContext
from azureml_tasks.engines.docker.build import Build
from azureml_tasks.engines.docker.builder_choice import Builder
from azureml_tasks.engines.docker.client import connect
from azureml_tasks.engines.docker.layer_store import DockerLayerStore, FoundLayers
from azureml_tasks.engines.docker.leftovers import tracked_run
from azureml_tasks.errors import BuildError
from tests.cases import lay_out
from tests.consumers import project
from tests.machine.clients import Client
from tests.machine.registry import Registry
from tests.projects import read
from tests.real.built_project import built_once, derived
from tests.real.layer_walk import SAVED, Walk
from tests.real.support import environment_for, environment_of, output_of, removed_after, unique

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
USED = "using cached layers: azureml-tasks.invalid/NAME/layers:TAG"
TOO_OLD = "cached layers are too old for packages that are not pinned: azureml-tasks.invalid/NAME/layers:TAG"
LARGE = 5_000_000
PACKAGE: dict[str, str | bytes] = {
    "code/package/m0.py": "password = 'hunter2'\n",
    **{f"code/package/m{number}.py": f"x = {number}\n" for number in range(1, 5)},
}


@pytest.fixture(scope="module", params=["26.1-buildx", "none"])
def changed(
    request: pytest.FixtureRequest,
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Walk]:
    """A project whose code has changed since it was built, with and without a client that has BuildKit."""
    scratch, client = tmp_path_factory.mktemp("layers"), str(request.param)
    env = environment_for(client, clients, scratch)
    with walking(docker_client, tiny_base, env, scratch, PACKAGE) as walk:
        folder = walk.built.project.folder / "code/package"
        walk.built.write("code/helper.py", "x = 2\n")
        walk.built.write("code/package/m0.py", "import os\n")
        (folder / "m1.py").unlink()
        (folder / "m2.py").rename(folder / "n2.py")
        (folder / "link").symlink_to("m0.py")
        (folder / "m3.py").chmod(0o755)
        walk.step("code")
        yield walk


@contextmanager
def walking(
    client: docker.DockerClient,
    tiny_base: str,
    env: Mapping[str, str],
    folder: Path,
    code: Mapping[str, str | bytes] = MappingProxyType({}),
) -> Iterator[Walk]:
    """Return a project that was built once, with more files of *code*."""
    files: dict[str, str | bytes] = {MODEL: os.urandom(LARGE), **code}
    with built_once(client, tiny_base, env, folder, more=MORE, files=files) as built:
        walk = Walk(built=built, client=client)
        walk.note("first", built.first.stderr.replace(built.name, "NAME"))
        yield walk


def test_a_changed_line_builds_only_the_code(changed: Walk) -> None:
    """The first build saves the layers below the code; the second builds on them and sends only the code."""
    assert ([SAVED], [USED]) == (changed.messages["first"], changed.messages["code"])
    ((name, cached),) = changed.layers["first"].items()
    assert {name: cached} == changed.layers["code"]
    ids = (cached, changed.ids["first"], changed.ids["code"])
    below, *images = (changed.client.images.get(image_id).attrs["RootFS"]["Layers"] for image_id in ids)
    assert [below, below] == [layers[:-1] for layers in images]
    assert images[0] != images[1]


def test_buildkit_copies_the_code(changed: Walk) -> None:
    """The engine's own BuildKit copies it, whichever client there is, and the history of the layers below stays."""
    (cached,) = changed.layers["code"].values()
    images = (changed.client.images.get(image_id) for image_id in (cached, changed.ids["code"]))
    below, whole = ([_told(step) for step in image.history()] for image in images)

    added = whole[: -len(below)]
    assert below == whole[len(added) :]
    assert ["LABEL ", "COPY code/ /var/azureml-app/ # buildkit", "USER ", "ENV "] == [
        re.sub(r"(ENV |LABEL |USER ).*", r"\1", str(step["CreatedBy"])) for step in added
    ]
    assert {"buildkit.dockerfile.v0"} == {step["Comment"] for step in added}


def _told(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("Created", "CreatedBy", "Size", "Comment")}


def test_the_image_can_be_pushed_and_pulled(changed: Walk, registry: Registry) -> None:
    """The pulled image is the same, and a container of it has the changed file."""
    name = f"{registry.host}/{changed.built.name}"
    image = changed.client.images.get(changed.ids["code"])
    with removed_after(changed.client, f"{name}:1"):
        image.tag(name, "1")
        changed.client.images.push(name, tag="1")
        changed.client.images.remove(f"{name}:1")

        pulled = changed.client.images.pull(name, tag="1")

        shown = output_of(changed.client, f"{name}:1", ["cat", "/var/azureml-app/helper.py"])
    assert (image.id, b"x = 2\n") == (pulled.id, shown)


def test_the_image_is_that_of_a_build_in_one_piece(changed: Walk, tmp_path: Path) -> None:
    """A build of the whole context gives the same files, variables, user, labels and command."""
    packed, name = tmp_path / "context.tar", f"{changed.built.name}:whole"
    assert changed.built.project.invoke("image.context", "--output", str(packed)).code == 0
    sha256 = changed.built.project.record("build.json")["context_sha256"]
    with packed.open("rb") as archive, removed_after(changed.client, name):
        changed.client.images.build(
            fileobj=archive, custom_context=True, buildargs={"CONTEXT_SHA256": sha256}, tag=name, rm=True
        )

        images = [about(changed.client, image) for image in (name, changed.ids["code"])]

    assert images[0] == images[1]
    assert {"var/azureml-app/helper.py", "var/azureml-app/azureml-models/weights.bin"} <= images[0][1].keys()


def about(client: docker.DockerClient, image: str) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the image's configuration, and each file with its type, mode, owner and content."""
    names = ("Env", "User", "Cmd", "Entrypoint", "Labels", "WorkingDir", "ExposedPorts", "Volumes")
    config = client.images.get(image).attrs["Config"]
    container = client.containers.create(image)
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(map(_bytes, container.export())))) as archive:
            files = {member.name: _entry(archive, member) for member in archive}
    finally:
        container.remove()
    files.pop("tmp/when")  # The command of the project prints another time in each build.
    return {name: config.get(name) or None for name in names}, files


def _bytes(block: Any) -> bytes:
    """Return a block of an export, for which the stubs have a wrong type."""
    return bytes(block)


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> list[Any]:
    content = archive.extractfile(member) if member.isreg() else None
    sha256 = hashlib.sha256(content.read()).hexdigest() if content else ""
    return [member.type, member.mode, member.uid, member.gid, member.linkname, sha256]


def test_no_layer_has_an_earlier_version_of_a_file(changed: Walk) -> None:
    """What a file held before it was changed, such as a password, is nowhere in the image."""
    first, code = (
        b"".join(changed.client.images.get(changed.ids[step]).save()) for step in ("first", "code")
    )

    assert (True, False) == (b"hunter2" in first, b"hunter2" in code)


def test_files_links_and_modes_are_those_of_the_project(changed: Walk) -> None:
    """A removed file is gone, a moved one is only where it is now, a link stays a link, a program stays one.

    Root owns every file.
    """
    look = ["/bin/sh", "-c", "cd /var/azureml-app/package; cat m0.py; ls -l"]
    content, _, *lines = output_of(changed.client, changed.ids["code"], look).decode().splitlines()

    assert "import os" == content
    assert [
        ["lrwxrwxrwx", "root", "link", "->", "m0.py"],
        ["-rw-r--r--", "root", "m0.py"],
        ["-rwxr-xr-x", "root", "m3.py"],
        ["-rw-r--r--", "root", "m4.py"],
        ["-rw-r--r--", "root", "n2.py"],
    ] == [[words[0], words[2], *words[8:]] for words in map(str.split, lines)]


# What the base has already

TAKEN = """\
FROM BASE
USER root
RUN mkdir -p /srv/app /var && ln -s /srv/app /var/azureml-app && ln -s /etc/passwd /srv/app/helper.py
USER dockeruser
ONBUILD RUN echo done > /tmp/onbuild
"""


def test_links_and_onbuild_of_the_base(
    docker_client: docker.DockerClient, tiny_base: str, clients: Mapping[str, Client], tmp_path: Path
) -> None:
    """The code is where the links of the base lead, as in one piece, ONBUILD is done, and no container is left."""
    base, env = f"{unique('base')}:1", environment_of(clients["26.1-buildx"], tmp_path)
    with removed_after(docker_client, base):
        derived(docker_client, base, TAKEN.replace("BASE", tiny_base))
        with walking(docker_client, base, env, tmp_path) as walk:
            walk.built.write("code/helper.py", "x = 2\n")

            walk.step("code")

            look = ["cat", "/var/azureml-app/helper.py", "/tmp/onbuild"]  # noqa: S108 -- in an image
            shown = output_of(docker_client, f"{walk.built.name}:1", look)
            left = docker_client.containers.list(all=True, filters={"ancestor": base})
    assert ([USED], b"x = 2\ndone\n", []) == (walk.messages["code"], shown, left)


# Cached layers over time


@pytest.fixture(scope="module")
def walk(
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Walk]:
    """A project whose model changes, whose cached layers are then too old, and are then pruned."""
    scratch = tmp_path_factory.mktemp("walk")
    env = environment_of(clients["26.1-buildx"], scratch)
    with walking(docker_client, tiny_base, env, scratch) as steps:
        (steps.built.project.folder / MODEL).write_bytes(os.urandom(LARGE))
        steps.step("model")
        steps.built.replaced("cached-layers-max-age = 7", "cached-layers-max-age = 0")
        steps.step("too old")
        steps.note("pruned", "\n".join(steps.built.run("image.cache", "--prune")))
        yield steps


def test_layers_that_were_used_today_stay(walk: Walk) -> None:
    """Another build may use them at the same time, so no build removes them."""
    first, model = walk.layers["first"], walk.layers["model"]

    assert ([SAVED], 1, 2) == (walk.messages["model"], len(first), len(model))
    assert first.items() <= model.items()


def test_layers_with_unpinned_packages_are_rebuilt_in_time(walk: Walk) -> None:
    """The project's command may give another result by now, so layers that are too old are built without a cache."""
    before, after = walk.layers["model"], walk.layers["too old"]

    assert [TOO_OLD, SAVED] == walk.messages["too old"]
    assert (before.keys(), 1) == (after.keys(), len(before.items() & after.items()))
    times = [
        output_of(walk.client, walk.ids[name], ["cat", "/tmp/when"])  # noqa: S108 -- in an image
        for name in ("model", "too old")
    ]
    assert times[0] != times[1]


def test_prune_removes_what_the_project_does_not_use(walk: Walk) -> None:
    """Only the layers of the project as it is now are left."""
    assert ["removed azureml-tasks.invalid/NAME/layers:TAG"] == walk.messages["pruned"]
    ((name, cached),) = walk.layers["pruned"].items()
    assert cached == walk.layers["too old"][name]


def test_layers_that_another_command_removes_are_built_again(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build whose cached layers are removed after it has found them builds them again."""
    (layers,), built, client = walk.layers["pruned"], walk.built, walk.client
    built.replaced("cached-layers-max-age = 0", "cached-layers-max-age = 7")
    built.write("code/helper.py", "x = 2\n")
    for name in ("PATH", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, built.project.env[name])
    used, removed = DockerLayerStore.use, list[str]()

    def use_and_remove(store: DockerLayerStore, tag: str, found_layers: FoundLayers) -> None:
        used(store, tag, found_layers)
        if not removed:
            removed.append(layers)
            client.images.remove(layers)

    monkeypatch.setattr(DockerLayerStore, "use", use_and_remove)
    run = RunContext(folder=built.project.folder, reporter=Console())
    pipeline.build(run, no_cache=False, pull=False)

    image = output_of(client, f"{built.name}:1", ["cat", "/var/azureml-app/helper.py"])
    assert ([layers], b"x = 2\n", [layers]) == (removed, image, client.images.get(layers).tags)


@pytest.mark.parametrize(
    "text", ["FROM azureml-tasks.invalid/none/layers:1\n", "FROM BASE\nCOPY nothing /\n"]
)
def test_the_reason_of_buildkit_is_shown(
    text: str, docker_client: docker.DockerClient, tiny_base: str, tmp_path: Path
) -> None:
    """A build by the API that fails ends with exit code 4 and the message of BuildKit."""
    del docker_client
    folder = lay_out(
        {"pyproject.toml": project("demo", ""), "code/score.py": "init = run = print\n"}, tmp_path / "project"
    )
    plan = read(folder)
    context = BuildContext(files=(), dockerfile=text.replace("BASE", tiny_base), sha256="0")

    with tracked_run(connect(), tmp_path, Console()) as run:
        build = Build(
            client=connect(),
            builder=Builder(kind="legacy", why="there is no docker client on PATH"),
            reporter=Console(),
            tracked=run,
            takes_archives=True,
        )
        with pytest.raises(BuildError) as caught:
            build.run(plan, context, no_cache=False)

    reason = "no such host|lookup azureml-tasks.invalid" if "invalid" in text else '"/nothing" not found'
    assert re.search(reason, caught.value.said), caught.value.said
