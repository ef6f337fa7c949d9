"""Push an image to a registry by a Docker engine, and ask the registry what it has then."""

from __future__ import annotations

import time
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from azureml_tasks.built_image import PushedTag
from azureml_tasks.engines.docker.answers import member
from azureml_tasks.engines.docker.api_errors import reading_answers, translate_errors
from azureml_tasks.engines.docker.credentials import auth_config, stored_credentials
from azureml_tasks.engines.docker.layer_progress import DONE, show_progress
from azureml_tasks.engines.docker.registry_errors import Cause, cause_of, cause_of_status, registry_error
from azureml_tasks.engines.tag_state import digest_if_known, left_behind
from azureml_tasks.errors import AzuremlTasksError, RegistryError
from azureml_tasks.notice import Notice
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


class _Try(NamedTuple):
    """How one try to push ended.

    Args:
        refusal: the engine's message; "" if the image was pushed.
        digest: that was sent; "" if the engine does not tell.
        sent_layers: whether a layer reached the registry, after which the manifest may have reached it, too.
    """

    refusal: str
    digest: str
    sent_layers: bool


def push_tag(
    client: EngineClient, image_id: str, name: str, reporter: Reporter, *, never_moves: bool
) -> PushedTag:
    """Push an image as *name*, unless that tag *never_moves* and the registry has it; see `push_image`."""
    before = digest_if_known(partial(tag_digest, client, name))
    if before and never_moves:
        return PushedTag(digest=before, before=before)
    reporter.say(f"pushing {name}")
    return PushedTag(digest=push_image(client, image_id, name, reporter, before=before), before=before)


def push_image(
    client: EngineClient, image_id: str, name: str, reporter: Reporter, *, before: str | None = None
) -> str:
    """Tag an image as *name*, push it, and return the digest, `sha256:…`, that the registry has for that tag.

    Args:
        client: of the engine.
        image_id: of the image.
        name: `host/repository:tag`.
        reporter: shows the progress.
        before: the digest that the tag names before; "" if there is no such tag, None if that is not known.

    Raises:
        RegistryError: the registry refuses, or has another digest for the tag than was sent.
        EngineError: the engine's disk is full, or it stops answering.
    """
    host, _, path = name.partition("/")
    client.tag_image(image_id, name)
    tries, pauses = 1, iter(_PAUSES)
    tried = _push_once(client, name, reporter)
    while tried.refusal:
        cause, pause = _cause(client, host, path, tried.refusal), next(pauses, None)
        if cause is not Cause.TEMPORARY or not pause:
            error = registry_error(host, f"the push of {name}", tried.refusal, cause=cause, tries=tries)
            may_be_there = cause in {Cause.TEMPORARY, None} and tried.sent_layers
            error.state = left_behind(name, partial(tag_digest, client, name), before) if may_be_there else ""
            raise error
        reporter.say(f"{host} said: {clean(tried.refusal)}; trying again in {pause:g} s")
        time.sleep(pause)  # A registry in trouble is asked less often; nothing tells when it is well again.
        again = _push_once(client, name, reporter)
        tried, tries = again._replace(sent_layers=again.sent_layers or tried.sent_layers), tries + 1
    return _confirmed(client, name, tried.digest, reporter)


def _push_once(client: EngineClient, name: str, reporter: Reporter) -> _Try:
    """Push once.

    Raises:
        EngineError: the engine stops answering; its `state` says that nobody knows what the registry has.
    """
    from docker.errors import APIError

    repository, _, tag = name.rpartition(":")
    sent, layers = "", False
    try:
        with translate_errors(client.host):
            auth = auth_config(client.config, name.partition("/")[0])
            try:
                with reading_answers():
                    events = client.sdk.api.push(
                        repository, tag=tag, stream=True, decode=True, auth_config=auth
                    )
                for event in show_progress(events, reporter):
                    if "error" in event:
                        client.confirm_alive()
                        return _Try(refusal=str(event["error"]), digest="", sent_layers=layers)
                    layers = layers or event.get("status") in DONE
                    sent = (member(event, "aux", {"Digest": str}) or {}).get("Digest") or sent
            except APIError as error:
                return _Try(refusal=str(error.explanation or error), digest="", sent_layers=layers)
    except AzuremlTasksError as error:
        error.state = f"Whether {name} was pushed is not known." if layers else ""
        raise
    return _Try(refusal="", digest=sent, sent_layers=layers)


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


def _confirmed(client: EngineClient, name: str, sent: str, reporter: Reporter) -> str:
    """Return the digest of an image that was pushed. The one that was *sent* counts if the registry does not say it.

    Raises:
        RegistryError: the registry has another one, or neither it nor the engine says any.
    """
    digest, error = "", None
    for pause in (*_PAUSES, 0.0):
        try:
            digest = tag_digest(client, name)
        except AzuremlTasksError as caught:
            error = caught
        if digest or not pause:
            break
        reporter.say(f"asking again for the digest of {name} in {pause:g} s")
        time.sleep(pause)  # A registry may show a new tag late, and nothing tells when it does.
    host = name.partition("/")[0]
    if digest and sent and sent != digest:
        what = f"Registry {host} has {digest} as {name}, not {sent}: somebody else pushed that tag meanwhile."
        state = f"The image was pushed as {sent}, and that tag names another one now."
        fix = "Push again, or give the image a tag of its own: --tag"
        raise RegistryError(what, next_step=fix, state=state)
    if digest:
        return digest
    why = error.what if error else f"It has no tag {name}."
    if sent:
        what = f"{name} was pushed as {sent}, which the registry did not confirm. {why}"
        reporter.warn(Notice("digest-unconfirmed", what))
        return sent
    error = error or RegistryError(f"Registry {host} returned no digest of {name}.")
    error.state = f"{name} was pushed, and its digest is not known."
    raise error


def tag_digest(client: EngineClient, name: str) -> str:
    """Return the registry's digest of *name*; "" if it has no such tag. It is asked once, through the engine.

    Podman's API has no such request, so the registry is then asked directly.

    Raises:
        RegistryError: the registry refuses or does not answer.
        EngineError: the engine does not answer.
    """
    from docker.errors import APIError

    host, _, path = name.partition("/")
    if client.is_podman:
        repository, _, tag = path.rpartition(":")
        try:
            return registry_api(host, client.config).digest(repository, tag)
        except AnswerError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return ""
            raise
    with translate_errors(client.host):
        auth = auth_config(client.config, host)
        try:
            with reading_answers():
                return str(client.sdk.images.get_registry_data(name, auth_config=auth).id)
        except APIError as error:
            message = str(error.explanation or error)
            cause = cause_of(message)
            if cause is Cause.NOT_FOUND:
                return ""
            raise registry_error(host, f"to return the digest of {name}", message, cause=cause) from error


def registry_api(host: str, config: DockerConfig) -> RegistryApi:
    """Return the API of the registry at *host*, with the credentials of `docker login` in docker's configuration."""
    session, sign_in = RegistrySession(login_server=host), f"docker login {host}"
    auth = RegistryAuth(
        session=session, credentials=lambda _: stored_credentials(config, host), sign_in=sign_in
    )
    return RegistryApi(auth=auth, ask_for=lambda _: sign_in)
