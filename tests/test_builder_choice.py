"""Which builder is chosen, and when docker's client is asked again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.engines.docker import builder_choice
from azureml_tasks.engines.docker.builder_choice import Builder, choose_builder, noted_builder
from azureml_tasks.engines.docker.client import EngineClient
from azureml_tasks.engines.docker.docker_config import read_docker_config
from azureml_tasks.engines.docker.docker_context import DEFAULT_HOST
from azureml_tasks.engines.docker.engine import DockerEngine
from azureml_tasks.process import Finished, MissingProgram
from tests.projects import age, set_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CLIENTS = [
    pytest.param(
        "20.10.24+dfsg1",
        False,
        Builder(kind="buildkit", why="the docker client 20.10.24+dfsg1 on PATH has it built in"),
        id="the last series with it built in, as Debian names it",
    ),
    pytest.param(
        "18.09.1",
        False,
        Builder(kind="buildkit", why="the docker client 18.09.1 on PATH has it built in"),
        id="the first series with it built in",
    ),
    pytest.param(
        "20.10.24",
        True,
        Builder(kind="buildx", why="the docker client 20.10.24 on PATH has buildx"),
        id="an old client with the plug-in",
    ),
    pytest.param(
        "23.0.0",
        False,
        Builder(kind="legacy", why="the docker client 23.0.0 on PATH has no buildx"),
        id="the first without it",
    ),
    pytest.param(
        "28.2.2",
        True,
        Builder(kind="buildx", why="the docker client 28.2.2 on PATH has buildx"),
        id="a new client with the plug-in",
    ),
    pytest.param(
        "",
        False,
        Builder(kind="legacy", why="the docker client of unknown version on PATH has no buildx"),
        id="something else of that name",
    ),
]


@pytest.mark.parametrize(("version", "buildx", "expected"), CLIENTS)
def test_chooses_by_the_client(
    version: str, buildx: bool, expected: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buildx if the client has it, else its built-in BuildKit, else the legacy builder."""
    monkeypatch.setattr(builder_choice, "capture", answers(version, buildx=buildx))

    assert expected == choose_builder(engine_client())


@pytest.mark.parametrize(
    ("host", "is_podman", "title", "whole"),
    [
        (
            DEFAULT_HOST,
            False,
            "Docker engine 26.1; runs build commands with BuildKit by docker buildx",
            (
                f'Docker engine 26.1 ({DEFAULT_HOST}, context "default"); '
                "runs build commands with BuildKit by docker buildx (new)"
            ),
        ),
        (
            "tcp://build:2376",
            True,
            "Podman engine 26.1 (tcp://build:2376); runs build commands with BuildKit by docker buildx",
            (
                'Podman engine 26.1 (tcp://build:2376, context "default"); '
                "runs build commands with BuildKit by docker buildx (new)"
            ),
        ),
    ],
)
def test_the_line_of_an_engine(host: str, is_podman: bool, title: str, whole: str, tmp_path: Path) -> None:
    """In short it has no address that everybody has, and no reason."""
    client = EngineClient(context="default", host=host, version="26.1", api="1.45", is_podman=is_podman)
    engine = DockerEngine(
        client=client,
        builder=Builder(kind="buildx", why="new"),
        reporter=Console(),
        folder=tmp_path,
        project=tmp_path,
    )

    assert (title, whole) == (engine.title(), engine.describe())


def test_without_a_client_the_legacy_builder_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's API needs no client."""

    def missing(argv: Sequence[str], **_: object) -> Finished:
        raise MissingProgram(argv[0])

    monkeypatch.setattr(builder_choice, "capture", missing)

    assert Builder(kind="legacy", why="there is no docker client on PATH") == choose_builder(engine_client())


def test_podman_builds_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Podman has no BuildKit, even if docker's client has it."""
    monkeypatch.setattr(builder_choice, "capture", answers("28.2.2", buildx=True))

    expected = Builder(kind="legacy", why="Podman builds through its own API")
    assert expected == choose_builder(engine_client(is_podman=True))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("buildx", "BuildKit by docker buildx (why)"),
        ("buildkit", "BuildKit by docker build (why)"),
        ("legacy", "the legacy builder (why)"),
    ],
)
def test_a_builder_is_described_with_its_reason(kind: str, expected: str) -> None:
    """`image.check` and every build print it."""
    assert expected == str(Builder(kind=kind, why="why"))


def answers(version: str, *, buildx: bool) -> Callable[[Sequence[str]], Finished]:
    """Return a stand-in for `capture` that answers as a docker client of that version."""

    def capture(argv: Sequence[str], **_: object) -> Finished:
        if list(argv) == ["docker", "version", "--format", "{{.Client.Version}}"]:
            return Finished(code=0, stdout=f"{version}\n", stderr="")
        assert ["docker", "buildx", "version"] == list(argv)
        return Finished(code=0 if buildx else 1, stdout="", stderr="")

    return capture


def engine_client(*, is_podman: bool = False) -> EngineClient:
    """Return a client of an engine that does not exist."""
    return EngineClient(
        context="default",
        host="unix:///x",
        version="1",
        api="1.41",
        is_podman=is_podman,
        config=read_docker_config(),
    )


# The note of the choice

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
    """Create a docker client without buildx and a folder of records."""
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
    """Put a client on PATH that logs its arguments, and has buildx if there is a file `buildx`."""
    program = folder / "bin/docker"
    set_text(program, CLIENT.format(folder=folder, version=version))
    program.chmod(0o755)


def builder(machine: Path, *, keep: bool = True, is_podman: bool = False) -> tuple[Builder, list[str]]:
    """Return the builder, and the arguments with which the client was called."""
    (machine / "asked").write_text("", encoding="utf-8")
    chosen = noted_builder(engine_client(is_podman=is_podman), machine / "records", keep=keep)
    return chosen, (machine / "asked").read_text(encoding="utf-8").splitlines()


def test_the_client_is_asked_once(machine: Path) -> None:
    """The answer is noted and used as long as nothing has changed."""
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
    """Let the client have buildx, and write a file that its plug-ins depend on."""
    (machine / "buildx").touch()
    set_text(machine / name, "{}")


@pytest.mark.parametrize("change", CHANGES)
def test_the_client_is_asked_again_after_a_change(change: str, machine: Path) -> None:
    """Another client, plug-in or configuration may have another builder."""
    builder(machine)
    edit, expected = CHANGES[change]
    edit(machine)
    age(machine)

    after, again = builder(machine), builder(machine)

    assert (expected, expected, []) == (after[0], *again)


def test_another_client_on_path_is_asked(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note is about one program."""
    builder(machine)
    (machine / "other").mkdir()
    (machine / "bin/docker").rename(machine / "other/docker")
    monkeypatch.setenv("PATH", f"{machine}/other")

    assert (LEGACY, ASKED) == builder(machine)


def test_podman_is_another_engine(machine: Path) -> None:
    """The builder of Docker's engine is not that of Podman."""
    podman = Builder(kind="legacy", why="Podman builds through its own API")

    builders = [builder(machine), builder(machine, is_podman=True), builder(machine)]

    assert [(LEGACY, ASKED), (podman, []), (LEGACY, ASKED)] == builders


def test_a_command_that_only_looks_notes_nothing(machine: Path) -> None:
    """The client is asked each time, and an earlier note stays."""
    first = builder(machine, keep=False)
    none = list((machine / "records").iterdir())
    builder(machine)
    before = (machine / "records/builder.json").read_bytes()
    client(machine, "29.0.0")

    builder(machine, keep=False)

    assert ((LEGACY, ASKED), [], before) == (first, none, (machine / "records/builder.json").read_bytes())


def test_nothing_is_noted_before_the_first_build(machine: Path) -> None:
    """The folder of records is not created."""
    (machine / "records").rmdir()

    assert ((LEGACY, ASKED), (LEGACY, ASKED), False) == (
        builder(machine),
        builder(machine),
        (machine / "records").exists(),
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"client": []}'])
def test_a_damaged_note_is_written_again(text: str, machine: Path) -> None:
    """It is ignored."""
    set_text(machine / "records/builder.json", text)

    assert ((LEGACY, ASKED), (LEGACY, [])) == (builder(machine), builder(machine))


@pytest.mark.parametrize(
    "change", [{"kind": "kaniko"}, {"kind": []}, {"kind": None}, {"why": 1}, {"why": "a\nb"}]
)
def test_a_note_of_no_builder_is_written_again(change: dict[str, object], machine: Path) -> None:
    """It names the right client, and no builder that there is."""
    builder(machine)
    file = machine / "records/builder.json"
    set_text(file, json.dumps({**json.loads(file.read_bytes()), **change}))

    assert ((LEGACY, ASKED), (LEGACY, [])) == (builder(machine), builder(machine))
