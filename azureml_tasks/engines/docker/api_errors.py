"""Errors of an engine that cannot be reached, stops answering, or refuses a request that should succeed."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from importlib.util import find_spec
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.socket_http import RefusedError, UnreadableAnswer
from azureml_tasks.errors import AzuremlTasksError, EngineError, connection_failure
from azureml_tasks.plain_text import clean
from azureml_tasks.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.engines.docker.docker_context import Endpoint

_WITHOUT_VARIABLE = "\nor, for the engine of docker's current context: unset DOCKER_HOST"


def unreachable_error(endpoint: Endpoint, error: Exception) -> EngineError:
    """Return the error for an engine that could not be connected to.

    Args:
        endpoint: where the engine is.
        error: raised by the connection.
    """
    cause = error.__cause__ or error
    said = f"the connection failed: {connection_failure(error)}"
    host, where = endpoint.host, endpoint.where
    otherwise = _WITHOUT_VARIABLE if endpoint.from_variable else ""
    if isinstance(cause, PermissionError):
        fix = (
            "sudo usermod -aG docker $USER\nthen sign in again; or run this as a user who may use the socket"
        )
        return EngineError(f"Your user may not use Docker's engine ({where}).", next_step=fix, said=said)
    if isinstance(cause, FileNotFoundError) and not (find_program("dockerd") or find_program("docker")):
        fix = "On Debian and Ubuntu: sudo apt-get install docker.io\nor see https://docs.docker.com/engine/install/"
        fix += otherwise
        return EngineError(f"There is no Docker engine here ({where}).", next_step=fix, said=said)
    if host.startswith("ssh://") and not find_spec("paramiko"):  # on Windows alone, see `ssh_bridge`
        fix = "pip install paramiko"
        return EngineError(f"Docker's SDK needs paramiko for SSH ({where}).", next_step=fix, said=said)
    if host.startswith(("unix://", "npipe://")):
        fix = f"Start it: open Docker Desktop, or on Linux: sudo systemctl start docker{otherwise}"
        return EngineError(f"Docker's engine does not answer ({where}).", next_step=fix, said=said)
    return _unreachable_by_network(endpoint, error, said)


def _unreachable_by_network(endpoint: Endpoint, error: Exception, said: str) -> EngineError:
    from docker.errors import APIError
    from requests.exceptions import SSLError

    host, where = endpoint.host, endpoint.where
    if isinstance(error, SSLError):
        fix = "Check the certificates: DOCKER_CERT_PATH, or those of the docker context"
        return EngineError(
            f"The engine and this machine do not agree on TLS ({where}).", next_step=fix, said=said
        )
    fix = f"Check that an engine answers there: docker --host {host} version"
    if isinstance(error, APIError) and error.status_code == HTTPStatus.BAD_REQUEST:
        fix += "\nor, if it wants TLS: export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER"
    fix += _WITHOUT_VARIABLE if endpoint.from_variable else ""
    return EngineError(f"Docker's engine does not answer ({where}).", next_step=fix, said=said)


def unreachable_by_ssh(endpoint: Endpoint, words: str, error: Exception) -> EngineError:
    """Return the error for an engine that ssh does not lead to; *words* are those of ssh, other arguments as above."""
    said = f"ssh said: {clean(words)}" if words else f"the connection failed: {connection_failure(error)}"
    fix = f"Check that docker's client reaches it: docker --host {endpoint.host} version"
    fix += _WITHOUT_VARIABLE if endpoint.from_variable else ""
    what = f"Docker's engine cannot be reached by ssh ({endpoint.where})."
    return EngineError(what, next_step=fix, said=said)


@contextmanager
def translate_errors(host: str) -> Iterator[None]:
    """Turn errors of the engine's API in the block into ours.

    Args:
        host: address of the engine.

    Raises:
        EngineError: the engine refused a request, stopped answering, or gave an answer that nobody can read.
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
    if isinstance(error, UnreadableAnswer):
        return _unreadable(host, error)
    if isinstance(error, ConnectionError | TimeoutError | HTTPException):
        return _silent(host, error)
    from docker.errors import APIError, DockerException, StreamParseError
    from requests import JSONDecodeError, RequestException
    from urllib3.exceptions import HTTPError

    if isinstance(error, APIError):
        return _refused(host, str(error.explanation or error))
    if isinstance(error, StreamParseError | JSONDecodeError):
        return _unreadable(host, error)
    if isinstance(error, DockerException | RequestException | HTTPError):
        return _silent(host, error)
    return None


@contextmanager
def reading_answers() -> Iterator[None]:
    """Check what Docker's SDK does not: it looks into answers of any form. The block calls the SDK and nothing else.

    Raises:
        UnreadableAnswer: an answer has another form than the SDK takes for granted.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer(f"{type(error).__name__}: {error}") from error


def _refused(host: str, message: str) -> EngineError:
    what, said = f"The engine at {host} refused a request.", f"docker said: {clean(message)}"
    return EngineError(what, next_step="See its message, and the engine's log.", said=said)


def _silent(host: str, error: Exception) -> EngineError:
    what = f"The engine at {host} stopped answering."
    said = f"the connection failed: {connection_failure(error)}"
    return EngineError(what, next_step="Check that it still runs: docker version", said=said)


def _unreadable(host: str, error: Exception) -> EngineError:
    what = f"The engine at {host} gave an answer that cannot be read."
    is_explained = isinstance(error, UnreadableAnswer)
    said = clean(str(error) if is_explained else f"{type(error).__name__}: {error}")
    return EngineError(what, next_step="Check what answers there: docker version", said=said)
