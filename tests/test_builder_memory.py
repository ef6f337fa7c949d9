"""Docker's client is asked once which builder it has, and again when it may have another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from azureml_tasks.engines.docker.builder_choice import Builder, noted_builder
from azureml_tasks.engines.docker.client import EngineClient
from tests.projects import age, set_text

CLIENT = """\
#!/bin/sh
echo "$*" >> {folder}/asked
case "$1" in
version) echo {version} ;;
*) test -e {folder}/buildx ;;
esac
"""
ASKED = ["version --format {{.Client.Version}}", "buildx version"]
LEGACY = Builder(kind="legacy", why="the docker client 28.0.1 on PATH has no buildx")
BUILDX = Builder(kind="buildx", why="the docker client 28.0.1 on PATH has buildx")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a docker client without buildx, and a folder of records."""
    client(tmp_path, "28.0.1")
    extra = json.dumps({"cliPluginsExtraDirs": [f"{tmp_path}/extra"]})
    set_text(tmp_path / "config/config.json", extra)
    set_text(tmp_path / "config/cli-plugins/docker-buildx", "no plug-in")
    (tmp_path / "extra").mkdir()
    (tmp_path / "records").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setenv("DOCKER_CONFIG", f"{tmp_path}/config")
    age(tmp_path)
    return tmp_path


def client(folder: Path, version: str) -> None:
    """Put a client on PATH that notes what it is asked, and has buildx where the file `buildx` is there."""
    program = folder / "bin/docker"
    set_text(program, CLIENT.format(folder=folder, version=version))
    program.chmod(0o755)


def builder(machine: Path, *, keep: bool = True, is_podman: bool = False) -> tuple[Builder, list[str]]:
    """The builder, and what the client was asked for that."""
    (machine / "asked").write_text("", encoding="utf-8")
    engine = EngineClient(context="default", host="unix:///x", version="1", api="1.41", is_podman=is_podman)
    found = noted_builder(engine, machine / "records", keep=keep)
    return found, (machine / "asked").read_text(encoding="utf-8").splitlines()


def test_the_client_is_asked_once(machine: Path) -> None:
    """The first answer is written down, and is the answer as long as nothing has changed."""
    first, again = builder(machine), builder(machine)

    assert ((LEGACY, ASKED), (LEGACY, [])) == (first, again)
    assert ["builder.json"] == [path.name for path in (machine / "records").iterdir()]


CHANGES: dict[str, tuple[Callable[[Path], object], Builder]] = {
    "a newer client": (
        lambda machine: client(machine, "29.0.0"),
        Builder(kind="legacy", why="the docker client 29.0.0 on PATH has no buildx"),
    ),
    "no client": (
        lambda machine: (machine / "bin/docker").unlink(),
        Builder(kind="legacy", why="there is no docker client on PATH"),
    ),
    "another plug-in": (lambda machine: plugin(machine, "config/cli-plugins/docker-buildx"), BUILDX),
    "a plug-in": (lambda machine: plugin(machine, "extra/docker-buildx"), BUILDX),
    "another configuration": (lambda machine: plugin(machine, "config/config.json"), BUILDX),
}


def plugin(machine: Path, name: str) -> None:
    """Let the client have buildx, by a file of that name."""
    (machine / "buildx").touch()
    set_text(machine / name, "{}")


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_asked_again_where_it_may_have_changed(change: str, machine: Path) -> None:
    """Another client, plug-in or configuration is asked anew, and its answer takes the place of the one before."""
    builder(machine)
    edit, expected = CHANGES[change]
    edit(machine)
    age(machine)

    after, again = builder(machine), builder(machine)

    assert (expected, expected, []) == (after[0], *again)


def test_another_client_of_that_name_is_asked(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that comes first on PATH now is another one, whatever the first has said."""
    builder(machine)
    (machine / "other").mkdir()
    (machine / "bin/docker").rename(machine / "other/docker")
    monkeypatch.setenv("PATH", f"{machine}/other")

    assert (LEGACY, ASKED) == builder(machine)


def test_podman_is_another_engine(machine: Path) -> None:
    """What was chosen for Docker's engine says nothing of Podman's, nor the other way round."""
    podman = Builder(kind="legacy", why="Podman builds through its own API")

    found = [builder(machine), builder(machine, is_podman=True), builder(machine)]

    assert [(LEGACY, ASKED), (podman, []), (LEGACY, ASKED)] == found


def test_who_only_looks_writes_nothing(machine: Path) -> None:
    """The client is asked each time, and what was written before stays as it is."""
    first = builder(machine, keep=False)
    none = list((machine / "records").iterdir())
    builder(machine)
    before = (machine / "records/builder.json").read_bytes()
    client(machine, "29.0.0")

    builder(machine, keep=False)

    assert ((LEGACY, ASKED), [], before) == (first, none, (machine / "records/builder.json").read_bytes())


def test_nothing_is_written_where_nothing_was_built(machine: Path) -> None:
    """Without a folder of records none is made."""
    (machine / "records").rmdir()

    assert ((LEGACY, ASKED), (LEGACY, ASKED), False) == (
        builder(machine),
        builder(machine),
        (machine / "records").exists(),
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"client": []}'])
def test_what_cannot_be_read_is_asked_again(text: str, machine: Path) -> None:
    """A file that is none of ours counts for nothing, and is put right."""
    set_text(machine / "records/builder.json", text)

    assert ((LEGACY, ASKED), (LEGACY, [])) == (builder(machine), builder(machine))
