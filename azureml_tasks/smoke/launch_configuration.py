"""What an editor is told to debug a container: a launch configuration of VS Code.

https://code.visualstudio.com/docs/python/debugging#_set-configuration-options
"""

from __future__ import annotations

import json
import os.path
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from azureml_tasks.plain_text import escape_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


_VARIABLE = "${"
"""With it VS Code begins a variable in any text of the file, also `${command:…}`, which runs a command of the editor:
https://code.visualstudio.com/docs/reference/variables-reference. Nothing escapes it."""


def launch_configuration(name: str, port: int, mappings: Iterable[Mapping[str, str]]) -> str:
    """Return the configuration as JSON.

    Args:
        name: of the image.
        port: on loopback, at which debugpy listens.
        mappings: as of `path_mappings`.
    """
    configuration = {
        "name": f"Attach to {name}",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": port},
        "pathMappings": list(mappings),
    }
    return escape_json(json.dumps(configuration, indent=2, ensure_ascii=False))


def path_mappings(scripts: Mapping[str, str], folder: Path) -> list[dict[str, str]]:
    """Return which folder here is which folder in the container, the innermost first, since the first that fits counts.

    A folder with the beginning of an editor's variable in its name has none.

    Args:
        scripts: path of each Python file here → its path in the container.
        folder: of the project, which is the editor's folder.
    """
    pairs = {_without_common_end(local, remote) for local, remote in scripts.items()}
    pairs = {pair for pair in pairs if not any(_VARIABLE in path for path in pair)}
    return [
        {"localRoot": _in_editor(local, str(folder)), "remoteRoot": remote}
        for local, remote in sorted(pairs, key=lambda pair: (-len(pair[1]), pair))
    ]


def _without_common_end(local: str, remote: str) -> tuple[str, str]:
    here, there = PurePosixPath(local), PurePosixPath(remote)
    while here.name == there.name and there.name:
        here, there = here.parent, there.parent
    return str(here), str(there)


def _in_editor(path: str, folder: str) -> str:
    inside = os.path.relpath(path, folder)
    if inside == os.curdir:
        return "${workspaceFolder}"
    return path if inside.startswith(os.pardir) else f"${{workspaceFolder}}/{inside}"
