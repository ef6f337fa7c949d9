"""Files that change while an image is built: the image gets no name and is removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

import docker
import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands import pipeline
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.context.build_context import BuildContext, confirm
from azureml_tasks.errors import BuildError
from tests.machine.clients import Client
from tests.real.built_project import Built, built_once
from tests.real.support import environment_of, output_of


@pytest.fixture(scope="module")
def built(
    docker_client: docker.DockerClient,
    tiny_base: str,
    clients: Mapping[str, Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Built]:
    """A project whose model is in cached layers."""
    scratch = tmp_path_factory.mktemp("while")
    env = environment_of(clients["26.1-buildx"], scratch)
    files = {"model/large.bin": os.urandom(5_000_000)}
    with built_once(docker_client, tiny_base, env, scratch, files=files) as built_project:
        yield built_project


def disturbed(built: Built, edit: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> BuildError:
    """Return the error of a build in which *edit* happens right after its first part was built."""
    edits = iter([edit])

    def edit_and_confirm(context: BuildContext) -> None:
        next(edits, lambda: None)()
        confirm(context)

    monkeypatch.setattr("azureml_tasks.engines.docker.layered_build.confirm", edit_and_confirm)
    with pytest.raises(BuildError) as caught:
        build(built, monkeypatch)
    monkeypatch.undo()
    return caught.value


def build(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build it in this process."""
    for name in ("PATH", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, built.project.env[name])
    run = RunContext(folder=built.project.folder, reporter=Console())
    pipeline.build(run, no_cache=False, pull=False)


def images(client: docker.DockerClient, built: Built) -> dict[str, list[str]]:
    """Return every image of the project with its names, also those without one and cached layers."""
    own_images = client.images.list(filters={"label": f"of={built.name}"})
    return {str(image.id): sorted(image.tags) for image in own_images}


def shown(client: docker.DockerClient, built: Built, name: str) -> bytes:
    """A file of the image, below the folder of the code."""
    out: bytes = output_of(client, f"{built.name}:1", ["cat", f"/var/azureml-app/{name}"])
    return out


def message(name: str) -> str:
    """Return the message about a file that has changed."""
    return (
        f"The files changed while the image was built: {name}.\n"
        "    Run the same command again.\nNothing was built."
    )


def test_code_that_changes_gives_no_image(
    built: Built, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 4; names, images and records stay as they were; the next build uses the new files."""
    built.write("code/helper.py", "x = 2\n")
    before, record = images(docker_client, built), built.project.record("build.json")

    ended = disturbed(built, lambda: built.write("code/helper.py", "x = 3\n"), monkeypatch)

    assert (4, message("code/helper.py")) == (ended.exit_code, str(ended))
    assert (before, record) == (images(docker_client, built), built.project.record("build.json"))
    built.run("image.build")
    assert b"x = 3\n" == shown(docker_client, built, "helper.py")


def test_a_model_that_changes_gives_no_cached_layers(
    built: Built, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers of another model than the one that was hashed get no tag."""
    built.write("model/which.txt", "wanted\n")
    before, record = images(docker_client, built), built.project.record("build.json")

    ended = disturbed(built, lambda: built.write("model/which.txt", "other\n"), monkeypatch)

    assert (4, message("model/which.txt")) == (ended.exit_code, str(ended))
    assert (before, record) == (images(docker_client, built), built.project.record("build.json"))
    built.write("model/which.txt", "wanted\n")
    built.run("image.build")
    assert b"wanted\n" == shown(docker_client, built, "azureml-models/which.txt")


def test_code_that_changes_keeps_the_cached_layers(
    built: Built, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cached layers whose own files did not change are saved and used by the next build."""
    built.write("model/which.txt", "another\n")
    before = images(docker_client, built)

    ended = disturbed(built, lambda: built.write("code/helper.py", "x = 4\n"), monkeypatch)

    (new,) = images(docker_client, built).keys() - before.keys()
    assert message("code/helper.py") == str(ended)
    (name,) = images(docker_client, built)[new]
    assert f"using cached layers: {name}".replace(built.name, "NAME") in built.run("image.build")
