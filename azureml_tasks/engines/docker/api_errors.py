"""Errors of an engine that cannot be reached, stops answering, or refuses a request that should succeed."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from http.client import HTTPException
from importlib.util import find_spec
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.socket_http import RefusedError
from azureml_tasks.errors import AzuremlTasksError, EngineError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator


def unreachable_error(context: str, host: str, error: Exception) -> EngineError:
    """Return the error for an engine that could not be connected to.

    Args:
        context: name of the docker context.
        host: address of the engine.
        error: raised by the connection.
    """
    cause = error.__cause__ or error
    said = f"the connection failed: {clean(str(error) or type(error).__name__)}"
    where = f'context "{context}", {host}'
    if isinstance(cause, PermissionError):
        fix = (
            "sudo usermod -aG docker $USER\nthen sign in again; or run this as a user who may use the socket"
        )
        return EngineError(f"Your user may not use Docker's engine ({where}).", next_step=fix, said=said)
    if isinstance(cause, FileNotFoundError) and not (shutil.which("dockerd") or shutil.which("docker")):
        fix = "On Debian and Ubuntu: sudo apt-get install docker.io\nor see https://docs.docker.com/engine/install/"
        return EngineError(f"There is no Docker engine here ({where}).", next_step=fix, said=said)
    if host.startswith("ssh://") and not find_spec("paramiko"):
        fix = "pip install paramiko"
        return EngineError(f"Docker's SDK needs paramiko for SSH ({where}).", next_step=fix, said=said)
    fix = "Start it: open Docker Desktop, or on Linux: sudo systemctl start docker"
    return EngineError(f"Docker's engine does not answer ({where}).", next_step=fix, said=said)


@contextmanager
def translate_errors(host: str) -> Iterator[None]:
    """Turn errors of the engine's API in the block into ours.

    Args:
        host: address of the engine.

    Raises:
        EngineError: the engine refused a request or stopped answering.
    """
    try:
        yield
    except AzuremlTasksError:
        raise
    except Exception as error:
        if translated := _translated(host, error):
            raise translated from error
        raise


def _translated(host: str, error: Exception) -> EngineError | None:
    """Return the error that *error*, of the socket or of Docker's SDK, stands for; None for any other."""
    if isinstance(error, RefusedError):
        return _refused(host, str(error))
    if isinstance(error, ConnectionError | TimeoutError | HTTPException):
        return _silent(host, error)
    from docker.errors import APIError, DockerException
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    if isinstance(error, APIError):
        return _refused(host, str(error.explanation or error))
    if isinstance(error, DockerException | RequestException | HTTPError):
        return _silent(host, error)
    return None


def _refused(host: str, message: str) -> EngineError:
    what, said = f"The engine at {host} refused a request.", f"docker said: {clean(message)}"
    return EngineError(what, next_step="See its message, and the engine's log.", said=said)


def _silent(host: str, error: Exception) -> EngineError:
    what = f"The engine at {host} stopped answering."
    said = f"the connection failed: {clean(str(error) or type(error).__name__)}"
    return EngineError(what, next_step="Check that it still runs: docker version", said=said)
