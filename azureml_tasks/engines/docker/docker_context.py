"""The address of the engine that the docker command would use, read without Docker's SDK."""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from azureml_tasks.errors import EngineError

_DEFAULT_HOST = "npipe:////./pipe/docker_engine" if sys.platform == "win32" else "unix:///var/run/docker.sock"


def current_context() -> tuple[str, str]:
    """Return the name of the current docker context and the address of its engine.

    The order is DOCKER_HOST, DOCKER_CONTEXT, then `currentContext` of docker's configuration:
    https://docs.docker.com/engine/manage-resources/contexts/#use-a-different-context.

    Raises:
        EngineError: DOCKER_HOST is not an address, or the context does not exist or cannot be read.
    """
    if host := os.environ.get("DOCKER_HOST"):
        if not _is_address(host):
            fix = f"unset DOCKER_HOST\nor: export DOCKER_HOST={_DEFAULT_HOST}"
            raise EngineError(
                f'DOCKER_HOST is "{host}", which is not the address of an engine.', next_step=fix
            )
        return "default", host
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = os.environ.get("DOCKER_CONTEXT") or _configured_context(folder / "config.json")
    return name, _DEFAULT_HOST if name == "default" else _stored_host(folder, name)


def _is_address(host: str) -> bool:
    try:
        parts = urlsplit(host)
        has_port = parts.port is not None
    except ValueError:
        return False
    if parts.scheme in {"unix", "npipe"}:
        return bool(parts.netloc or parts.path)
    if parts.scheme == "ssh":
        return bool(parts.hostname)
    return parts.scheme in {"tcp", "http", "https"} and bool(parts.hostname) and has_port


def _configured_context(configuration: Path) -> str:
    """Return `currentContext`; docker itself uses its default context if it cannot read its configuration."""
    try:
        return str(json.loads(configuration.read_bytes()).get("currentContext") or "default")
    except (OSError, ValueError, AttributeError):
        return "default"


def _stored_host(folder: Path, name: str) -> str:
    """Return the address in the context's file, whose folder is named by the hash of the context's name."""
    file = folder / "contexts" / "meta" / sha256(name.encode()).hexdigest() / "meta.json"
    try:
        return str(json.loads(file.read_bytes())["Endpoints"]["docker"]["Host"] or _DEFAULT_HOST)
    except FileNotFoundError as error:
        fix = "docker context ls\nthen: docker context use NAME"
        raise EngineError(f'The docker context "{name}" does not exist.', next_step=fix) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = f"docker context rm {name}\nthen create it again"
        what = f'The docker context "{name}" cannot be read from {file}.'
        raise EngineError(what, next_step=fix, said=f"{type(error).__name__}: {error}") from error
