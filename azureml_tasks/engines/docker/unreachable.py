"""Why no engine answers, and the next step: by where the client looked and what the SDK said."""

from __future__ import annotations

import os
import re
from typing import Any

from azureml_tasks.errors import EngineError
from azureml_tasks.plain_text import clean

__all__ = ["unreachable"]


def unreachable(context: str, host: str, error: Exception) -> EngineError:
    """The error that *error* of the SDK means, asked of the engine at *host* of the docker context *context*."""
    said = f"docker's SDK said: {clean(str(error))}"
    where = f'context "{context}", {host or "no address"}'
    if os.environ.get("DOCKER_HOST") and re.search(
        r"Invalid bind address|Bind address|unsupported|not supported", str(error)
    ):
        fix = "unset DOCKER_HOST\nor: export DOCKER_HOST=unix:///var/run/docker.sock"
        return EngineError(
            f'DOCKER_HOST is "{host}", which is no address of an engine.', next_step=fix, said=said
        )
    if _caused_by(error, PermissionError):
        fix = (
            "sudo usermod -aG docker $USER\nthen sign in again; or run this as a user who may use the socket"
        )
        return EngineError(f"Docker's engine does not let you in ({where}).", next_step=fix, said=said)
    if _caused_by(error, FileNotFoundError) and not _installed():
        fix = "On Debian and Ubuntu: sudo apt-get install docker.io\nor see https://docs.docker.com/engine/install/"
        return EngineError(f"There is no Docker engine here ({where}).", next_step=fix, said=said)
    fix = "Start it: open Docker Desktop, or on Linux: sudo systemctl start docker"
    return EngineError(f"Docker's engine does not answer ({where}).", next_step=fix, said=said)


def _caused_by(error: BaseException | None, kind: type[OSError]) -> bool:
    """Whether *kind* stands anywhere in the chain, or in the arguments that requests and urllib3 pack it into."""
    seen: list[Any] = [error]
    for found in seen:
        if isinstance(found, kind):
            return True
        if isinstance(found, BaseException):
            inner = (*found.args, found.__cause__, found.__context__, getattr(found, "reason", None))
            seen += [
                part for part in inner if isinstance(part, BaseException) and not any(part is s for s in seen)
            ]
    return False


def _installed() -> bool:
    from shutil import which

    return bool(which("dockerd") or which("docker"))
