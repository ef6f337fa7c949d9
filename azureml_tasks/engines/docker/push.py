"""Push an image to a registry by a Docker engine, and ask for the digest that the registry gives it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.credentials import auth_config, stored_credentials
from azureml_tasks.engines.docker.layer_progress import show_progress
from azureml_tasks.engines.docker.registry_errors import Cause, cause_of, cause_of_status, registry_error
from azureml_tasks.errors import RegistryError
from azureml_tasks.plain_text import clean
from azureml_tasks.registry.api import RegistryApi
from azureml_tasks.registry.auth import RegistryAuth
from azureml_tasks.registry.session import AnswerError, RegistrySession

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.engines.docker.docker_config import DockerConfig
    from azureml_tasks.reporter import Reporter

_PAUSES = (1.0, 2.0)
"""Seconds before the second and the third try."""


def push_image(client: EngineClient, image_id: str, name: str, reporter: Reporter) -> str:
    """Tag an image as *name*, push it, and return the digest, `sha256:…`, that the registry has for that tag.

    Raises:
        RegistryError: the registry refuses, or has another digest for the tag than was sent.
        EngineError: the engine's disk is full.
    """
    host, _, path = name.partition("/")
    client.tag_image(image_id, name)
    tries, pauses = 1, iter(_PAUSES)
    message, sent = _push_once(client, name, reporter)
    while message:
        cause, pause = _cause(client, host, path, message), next(pauses, None)
        if cause is not Cause.TEMPORARY or not pause:
            raise registry_error(host, f"the push of {name}", message, cause=cause, tries=tries)
        reporter.say(f"{host} said: {clean(message)}; trying again in {pause:g} s")
        time.sleep(pause)  # A registry in trouble is asked less often; nothing tells when it is well again.
        message, sent = _push_once(client, name, reporter)
        tries += 1
    digest = _registry_digest(client, name)
    if sent and sent != digest:
        what = f"Registry {host} has {digest} as {name}, not {sent}: somebody else pushed that tag meanwhile."
        state = f"The image was pushed as {sent}, and that tag names another one now."
        fix = "Push again, or give the image a tag of its own: --tag"
        raise RegistryError(what, next_step=fix, state=state)
    return digest


def _push_once(client: EngineClient, name: str, reporter: Reporter) -> tuple[str, str]:
    """Push and return the message of a refusal, or the digest that was sent; "" if the engine does not tell."""
    from docker.errors import APIError

    repository, _, tag = name.rpartition(":")
    sent = ""
    try:
        auth = auth_config(client.config, name.partition("/")[0])
        events = client.sdk.api.push(repository, tag=tag, stream=True, decode=True, auth_config=auth)
        for event in show_progress(events, reporter):
            if "error" in event:
                client.confirm_alive()
                return str(event["error"]), ""
            sent = (event.get("aux") or {}).get("Digest", sent)
    except APIError as error:
        return str(error.explanation or error), ""
    return "", sent


def _cause(client: EngineClient, host: str, path: str, message: str) -> Cause | None:
    """Return why a push failed; if the engine's message does not tell, by the status of the registry's own answer."""
    if cause := cause_of(message):
        return cause
    repository, _, tag = path.rpartition(":")
    try:
        registry_api(host, client.config).digest(repository, tag)
    except AnswerError as error:
        cause = cause_of_status(error.status) if error.status else None
        return None if cause is Cause.NOT_FOUND else cause  # A tag is not there before its first push.
    except RegistryError:
        return None
    return None


def _registry_digest(client: EngineClient, name: str) -> str:
    """Ask the registry for its digest of *name*, through the engine; Podman's API has no such request."""
    from docker.errors import APIError

    host, _, path = name.partition("/")
    if client.is_podman:
        repository, _, tag = path.rpartition(":")
        return registry_api(host, client.config).digest(repository, tag)
    try:
        auth = auth_config(client.config, host)
        return str(client.sdk.images.get_registry_data(name, auth_config=auth).id)
    except APIError as error:
        message = str(error.explanation or error)
        raise registry_error(
            host, f"to return the digest of {name}", message, cause=cause_of(message)
        ) from error


def registry_api(host: str, config: DockerConfig) -> RegistryApi:
    """Return the API of the registry at *host*, with the credentials of `docker login` in docker's configuration."""
    session, sign_in = RegistrySession(login_server=host), f"docker login {host}"
    auth = RegistryAuth(
        session=session, credentials=lambda _: stored_credentials(config, host), sign_in=sign_in
    )
    return RegistryApi(auth=auth, ask_for=lambda _: sign_in)
