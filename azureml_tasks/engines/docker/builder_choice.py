"""Which builder makes the image, and why that one."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.context.file_hashes import stamp_of
from azureml_tasks.engines.docker import notes
from azureml_tasks.process import MissingProgram, capture

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.client import EngineClient

__all__ = ["Builder", "choose", "note", "remembered"]

_BUILT_IN_UNTIL = 23
"""docker's client has BuildKit built in up to 22; from 23 on it wants the buildx plug-in
(https://docs.docker.com/engine/release-notes/23.0/)."""
_PLUGINS = tuple(
    f"{folder}/docker/cli-plugins"
    for folder in ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
)
"""Where docker's client looks for plug-ins beside its own configuration (docker/cli, cli-plugins/manager)."""
_FILE = "builder.json"


class Builder(NamedTuple):
    """A builder of the engine.

    Args:
        kind: "buildx", "buildkit" (the client's built-in mode) or "legacy" (through the engine's API).
        why: one clause, for people.
    """

    kind: str
    why: str

    def __str__(self) -> str:
        names = {
            "buildx": "BuildKit by docker buildx",
            "buildkit": "BuildKit by docker build",
            "legacy": "the legacy builder",
        }
        return f"{names[self.kind]} ({self.why})"


def choose(client: EngineClient) -> Builder:
    """BuildKit where the docker client on PATH has it and the engine is Docker's, else the legacy builder."""
    if client.is_podman:
        return Builder(kind="legacy", why="Podman builds through its own API")
    try:
        version = capture(["docker", "version", "--format", "{{.Client.Version}}"]).stdout.strip()
        if capture(["docker", "buildx", "version"]).code == 0:
            return Builder(kind="buildx", why=f"the docker client {version} on PATH has buildx")
    except MissingProgram:
        return Builder(kind="legacy", why="there is no docker client on PATH")
    major = re.match(r"\d+", version)
    if major and int(major[0]) < _BUILT_IN_UNTIL:
        return Builder(kind="buildkit", why=f"the docker client {version} on PATH has it built in")
    return Builder(
        kind="legacy", why=f"the docker client {version or 'of unknown version'} on PATH has no buildx"
    )


def remembered(client: EngineClient, folder: Path, *, keep: bool) -> Builder:
    """The same without asking docker's client again, as long as it and its plug-ins are those that answered.

    Args:
        client: the engine.
        folder: of the records; where it is not there, nothing is remembered.
        keep: whether the answer is written down, as a command that only looks must not do.
    """
    found = notes.read(folder / _FILE)
    if found.get("client") == [client.is_podman, *_client()] and {"kind", "why"} <= found.keys():
        return Builder(kind=str(found["kind"]), why=str(found["why"]))
    chosen = choose(client)
    if keep:
        note(client, chosen, folder)
    return chosen


def note(client: EngineClient, builder: Builder, folder: Path) -> None:
    """Write down in *folder* which builder was chosen, and by what, unless that is there."""
    file, chosen = folder / _FILE, {"client": [client.is_podman, *_client()], **builder._asdict()}
    if notes.read(file) != chosen:
        notes.write(file, chosen)


def _client() -> list[Any]:
    """What decides: the client on PATH, the folders and files of its plug-ins, and its configuration."""
    home = Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())
    folders = (*_more_folders(home / "config.json"), str(home / "cli-plugins"), *_PLUGINS)
    looked_at = [str(home / "config.json"), *folders, *(f"{folder}/docker-buildx" for folder in folders)]
    program = shutil.which("docker")
    return [program and os.path.realpath(program), *map(_stamp, [program, *looked_at])]


def _more_folders(configuration: Path) -> list[str]:
    """The folders of plug-ins that docker's configuration names."""
    try:
        return list(map(str, json.loads(configuration.read_bytes()).get("cliPluginsExtraDirs") or []))
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def _stamp(path: str | None) -> str | None:
    try:
        return stamp_of(Path(path).stat()) if path else None
    except OSError:
        return None
