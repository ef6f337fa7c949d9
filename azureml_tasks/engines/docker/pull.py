"""An image of a registry on a Docker engine, for as long as it is needed there."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.layer_progress import shown
from azureml_tasks.engines.docker.registry_errors import registry_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter

__all__ = ["pulled"]


@contextmanager
def pulled(
    client: EngineClient, name: str, login: Callable[[], tuple[str, str]], reporter: Reporter
) -> Iterator[str]:
    """Pull *name*, `host/repository@digest`, and give its id; it is removed when the block ends, unless it was here.

    Raises:
        RegistryError: the registry refuses.
        EngineError: the engine's disk is full.
    """
    from docker.errors import APIError, ImageNotFound

    images = client.sdk.images
    try:
        here = str(images.get(name).id)
    except ImageNotFound:
        here = ""
    if here:
        yield here
        return
    reporter.say(f"pulling {name}")
    try:
        _pull(client, name, login, reporter)
        yield str(images.get(name).id)
    finally:
        try:
            images.remove(name)
        except APIError as error:
            # Gone already, or run by another smoke test of the same image, which has found it here.
            if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise


def _pull(client: EngineClient, name: str, login: Callable[[], tuple[str, str]], reporter: Reporter) -> None:
    from docker.errors import APIError

    host = name.partition("/")[0]
    repository, _, digest = name.partition("@")
    user, password = login()
    said = ""
    try:
        events = client.sdk.api.pull(
            repository,
            tag=digest,
            stream=True,
            decode=True,
            auth_config={"username": user, "password": password} if password else None,
        )
        for event in shown(events, reporter):
            said = str(event.get("error", said))
    except APIError as error:
        said = str(error.explanation or error)
    if said:
        raise registry_error(host, f"the pull of {name}", said)
