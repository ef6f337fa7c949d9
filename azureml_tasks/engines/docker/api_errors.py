"""What it means where an engine refuses a request that nobody expected it to refuse, or goes away."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from azureml_tasks.errors import AzuremlTasksError, EngineError
from azureml_tasks.plain_text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.engines.docker.client import EngineClient

__all__ = ["translate_errors"]


@contextmanager
def translate_errors(client: EngineClient) -> Iterator[None]:
    """Run a block that asks the engine; where it refuses what nobody expected, or goes away, say so.

    Raises:
        EngineError: with what the engine, or the way to it, said.
    """
    try:
        yield
    except Exception as error:
        if said := _said(client, error):
            raise said from error
        raise


def _said(client: EngineClient, error: Exception) -> EngineError | None:
    """What an error of the SDK means; None for any other."""
    if isinstance(error, AzuremlTasksError):
        return None
    from http.client import HTTPException

    if isinstance(error, ConnectionError | TimeoutError | HTTPException):
        return _silent(client, f"the way to it said: {clean(str(error))}")
    from docker.errors import APIError, DockerException
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    if isinstance(error, APIError):
        what = f"The engine at {client.host} refused a request."
        said = f"docker said: {clean(str(error.explanation or error))}"
        return EngineError(what, next_step="Look at what it said.", said=said)
    if isinstance(error, DockerException | RequestException | HTTPError):
        return _silent(client, f"docker's SDK said: {clean(str(error))}")
    return None


def _silent(client: EngineClient, said: str) -> EngineError:
    what = f"The engine at {client.host} stopped answering."
    return EngineError(what, next_step="Look whether it still runs: docker version", said=said)
