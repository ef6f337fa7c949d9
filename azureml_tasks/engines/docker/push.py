"""One image id to one name in its registry, and the digest that the registry itself gives it."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from azureml_tasks.engines.docker.layer_progress import shown
from azureml_tasks.engines.docker.registry_errors import is_passing, registry_error
from azureml_tasks.errors import RegistryError
from azureml_tasks.plain_text import clean
from azureml_tasks.registry.api import RegistryApi
from azureml_tasks.registry.auth import Credentials, RegistryAuth
from azureml_tasks.registry.session import RegistrySession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azureml_tasks.built_image import BuiltImage
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.reporter import Reporter

__all__ = ["named_where_pushed", "push"]

_PAUSES = (1.0, 2.0)
"""Seconds before the second and the third try."""


def push(client: EngineClient, image_id: str, name: str, reporter: Reporter) -> str:
    """Tag *image_id* as *name*, push it, and give its digest, `sha256:…`, as the registry has it.

    Raises:
        RegistryError: the registry refuses, or holds another digest under that tag than was sent.
        EngineError: the engine's disk is full.
    """
    host = name.partition("/")[0]
    repository, _, tag = name.rpartition(":")
    client.sdk.api.tag(image_id, repository, tag)
    said, sent = _push_once(client, repository, tag, reporter)
    for pause in _PAUSES:
        if not (said and is_passing(said)):
            break
        reporter.say(f"{host} said: {clean(said)}; trying again in {pause:g} s")
        time.sleep(pause)  # A registry in trouble is asked less often; nothing tells when it is well again.
        said, sent = _push_once(client, repository, tag, reporter)
    if said:
        raise registry_error(host, f"the push of {name}", said, often=", three times in a row")
    digest = _digest(client, name)
    if sent and sent != digest:
        what = (
            f"Registry {host} holds {digest} as {name}, not {sent}: somebody else pushed that tag meanwhile."
        )
        state = f"The image was pushed as {sent}, and that tag names another one now."
        raise RegistryError(
            what, next_step="Push again, or give the image a tag of its own: --tag", state=state
        )
    return digest


def _push_once(client: EngineClient, repository: str, tag: str, reporter: Reporter) -> tuple[str, str]:
    """Push once: what was refused ("" for nothing), and the digest that was sent ("" where the engine does not say)."""
    from docker.errors import APIError, DockerException

    sent = ""
    try:
        events = client.sdk.api.push(repository, tag=tag, stream=True, decode=True)
        for event in shown(events, reporter):
            if "error" in event:
                return str(event["error"]), ""
            sent = (event.get("aux") or {}).get("Digest", sent)
    except APIError as error:
        return str(error.explanation or error), ""
    except (DockerException, OSError) as error:  # What requests raises is an OSError.
        return str(error), ""
    return "", sent


def _digest(client: EngineClient, name: str) -> str:
    """Return the registry's digest of *name* through the engine, which reaches it; Podman has no such request."""
    from docker.errors import APIError

    if client.is_podman:
        repository, _, tag = name.partition("/")[2].rpartition(":")
        return registry_api(name.partition("/")[0]).digest(repository, tag)
    try:
        return str(client.sdk.images.get_registry_data(name).id)
    except APIError as error:
        raise registry_error(
            name.partition("/")[0], f"the question for the digest of {name}", str(error.explanation or error)
        ) from error


def registry_api(host: str) -> RegistryApi:
    """Return the API of the registry at *host*, with the credentials of `docker login`."""
    session, sign_in = RegistrySession(login_server=host), f"docker login {host}"
    auth = RegistryAuth(session=session, credentials=lambda _: _stored_credentials(host), sign_in=sign_in)
    return RegistryApi(auth=auth, ask_for=lambda _: sign_in)


def _stored_credentials(host: str) -> Credentials:
    """Return the credentials for *host* in docker's configuration, or of its credential helper."""
    from docker.auth import load_config

    stored = load_config().resolve_authconfig(host) or {}
    return Credentials(
        user=str(stored.get("Username") or stored.get("username") or ""),
        password=str(stored.get("Password") or stored.get("password") or ""),
        refresh_token=str(stored.get("IdentityToken") or stored.get("identitytoken") or ""),
    )


@contextmanager
def named_where_pushed(client: EngineClient, image: BuiltImage, name: str) -> Iterator[None]:
    """Where the block fails, take *name* from *image* again, unless build gave it."""
    from docker.errors import ImageNotFound

    try:
        yield
    except BaseException:
        if name not in image.names:
            with suppress(ImageNotFound):
                client.sdk.images.remove(name, noprune=True)
        raise
