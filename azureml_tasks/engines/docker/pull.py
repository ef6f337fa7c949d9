"""Pull an image from a registry by a Docker engine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.api_errors import reading_answers
from azureml_tasks.engines.docker.credentials import auth_config
from azureml_tasks.engines.docker.layer_progress import show_progress
from azureml_tasks.engines.docker.registry_errors import cause_of, registry_error
from azureml_tasks.image_reference import parse
from azureml_tasks.state.runs import Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter
    from azureml_tasks.state.runs import Run


def pull_image(
    client: EngineClient,
    repository: str,
    tag: str,
    reporter: Reporter,
    *,
    platform: str | None = None,
    login: tuple[str, str] | None = None,
) -> str:
    """Pull one image and return the message of its refusal; "" if it was pulled.

    Args:
        client: the engine.
        repository: with its host.
        tag: or digest.
        reporter: shows the progress.
        platform: such as `linux/amd64`; by default the engine's.
        login: user and password; by default those of `docker login`.

    Raises:
        EngineError: the engine does not answer, or the credential helper is missing.
        RegistryError: the credential helper fails.
    """
    from docker.errors import APIError

    if login:
        auth = {"username": login[0], "password": login[1]}
    else:
        auth = auth_config(client.config, _registry_of(repository))
    message = ""
    try:
        with reading_answers():
            events = client.sdk.api.pull(
                repository, tag=tag, platform=platform, auth_config=auth, stream=True, decode=True
            )
        for event in show_progress(events, reporter):
            message = str(event.get("error", message))
    except APIError as error:
        message = str(error.explanation or error)
    if message:
        client.confirm_alive()
    return message


def _registry_of(repository: str) -> str:
    reference = parse(repository)
    return (reference.host if reference else "") or "docker.io"


@contextmanager
def pulled_image(
    client: EngineClient,
    reference: str,
    login: Callable[[], tuple[str, str]],
    reporter: Reporter,
    run: Run,
) -> Iterator[str]:
    """Pull *reference*, `host/repository@digest`, and yield its ID; *run* removes it if it was not there before.

    Raises:
        RegistryError: the registry refuses.
        EngineError: the engine's disk is full.
    """
    if image := client.inspect_image(reference):
        yield str(image["Id"])
        return
    reporter.say(f"pulling {reference}")
    repository, _, digest = reference.partition("@")
    user, password = login()
    run.note(Thing("image", reference))
    message = pull_image(client, repository, digest, reporter, login=(user, password) if password else None)
    if message:
        host, what = reference.partition("/")[0], f"the pull of {reference}"
        raise registry_error(host, what, message, cause=cause_of(message))
    yield str((client.inspect_image(reference) or {})["Id"])
