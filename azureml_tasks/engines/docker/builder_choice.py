"""Choose the builder, and say why."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.context.file_hashes import stamp_of
from azureml_tasks.engines.docker import notes
from azureml_tasks.engines.docker.client_environment import client_environment
from azureml_tasks.process import MissingProgram, capture, find_program
from azureml_tasks.state.record_forms import is_words

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.client import EngineClient

BUILT_IN_UNTIL = 23
"""docker's client has BuildKit built in up to version 22; from 23 on it needs the plug-in buildx
(https://docs.docker.com/engine/release-notes/23.0/)."""
_PLUGINS = tuple(
    f"{folder}/docker/cli-plugins"
    for folder in ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
)
"""Where docker's client looks for plug-ins besides its own configuration (docker/cli, cli-plugins/manager)."""
_FILE = "builder.json"
_KINDS = {
    "buildx": "BuildKit by docker buildx",
    "buildkit": "BuildKit by docker build",
    "legacy": "the legacy builder",
}


class Builder(NamedTuple):
    """A builder of the engine.

    Args:
        kind: "buildx", "buildkit" (the client's built-in mode) or "legacy" (through the engine's API).
        why: one clause.
    """

    kind: str
    why: str

    @property
    def title(self) -> str:
        """What it is, for people."""
        return _KINDS[self.kind]

    def __str__(self) -> str:
        return f"{self.title} ({self.why})"


def choose_builder(client: EngineClient) -> Builder:
    """Choose BuildKit if the docker client on PATH has it and the engine is Docker's, else the legacy builder."""
    if client.is_podman:
        return Builder(kind="legacy", why="Podman builds through its own API")
    try:
        env = client_environment(client)
        version = capture(["docker", "version", "--format", "{{.Client.Version}}"], env=env).stdout.strip()
        if capture(["docker", "buildx", "version"], env=env).code == 0:
            return Builder(kind="buildx", why=f"the docker client {version} on PATH has buildx")
    except MissingProgram:
        return Builder(kind="legacy", why="there is no docker client on PATH")
    major = re.match(r"\d+", version)
    if major and int(major[0]) < BUILT_IN_UNTIL:
        return Builder(kind="buildkit", why=f"the docker client {version} on PATH has it built in")
    return Builder(
        kind="legacy", why=f"the docker client {version or 'of unknown version'} on PATH has no buildx"
    )


def noted_builder(client: EngineClient, folder: Path, *, keep: bool) -> Builder:
    """Return the noted choice if docker's client and its plug-ins are still the same, else choose again.

    Args:
        client: of the engine.
        folder: of the project's records; if it does not exist, nothing is noted.
        keep: whether the choice may be noted; not for a command that only looks.
    """
    noted = notes.read(folder / _FILE)
    kind, why = noted.get("kind"), noted.get("why")
    if (
        noted.get("client") == [client.is_podman, *_client_stamps(client)]
        and isinstance(kind, str)
        and kind in _KINDS
        and is_words(why)
    ):
        return Builder(kind=kind, why=str(why))
    builder = choose_builder(client)
    if keep:
        note_builder(client, builder, folder)
    return builder


def note_builder(client: EngineClient, builder: Builder, folder: Path) -> None:
    """Note in *folder* which builder was chosen, and for which client, unless that is noted already."""
    file, note = folder / _FILE, {"client": [client.is_podman, *_client_stamps(client)], **builder._asdict()}
    if notes.read(file) != note:
        notes.write(file, note)


def _client_stamps(client: EngineClient) -> list[Any]:
    """Return what the choice depends on: the client on PATH, its configuration, and the folders of its plug-ins."""
    file, home = client.config.file, client.config.folder
    folders = [*client.config.plugin_folders, *([f"{home}/cli-plugins"] if home else []), *_PLUGINS]
    paths = [*([str(file)] if file else []), *folders, *(f"{folder}/docker-buildx" for folder in folders)]
    program = find_program("docker")
    return [program and os.path.realpath(program), *map(_stamp, [program, *paths])]


def _stamp(path: str | None) -> str | None:
    try:
        return stamp_of(Path(path).stat()) if path else None
    except OSError:
        return None
