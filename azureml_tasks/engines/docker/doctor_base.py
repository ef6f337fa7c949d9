"""What `image.doctor` finds about a base image: whether it is here, how old it is, and whether its registry answers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.engines.docker.api_errors import translate_errors
from azureml_tasks.engines.docker.base_image import find_base, near_image
from azureml_tasks.engines.docker.registry_errors import Cause, cause_of, cause_of_status
from azureml_tasks.engines.doctor_finding import Finding, Status
from azureml_tasks.plain_text import one_line, shell_join
from azureml_tasks.state.record_forms import is_digest
from azureml_tasks.timestamps import days_since, epoch_seconds

if TYPE_CHECKING:
    from azureml_tasks.engines.docker.client import EngineClient
    from azureml_tasks.image_reference import Reference

_OLD = 180
"""Days. Azure ML supports tags up to six months older than `latest`:
https://learn.microsoft.com/azure/machine-learning/concept-prebuilt-docker-images-inference."""
_NEVER_PULLED = "Builds take the one that is here until one says --pull."
_NO_BUILD = "No build can start from it."


class _Registry(NamedTuple):
    """What the base's registry answered to the engine.

    Args:
        digest: of the image; "" if it did not say.
        cause: why it did not say.
        message: its words, or the engine's.
        is_asked: whether it was asked at all.
    """

    digest: str
    cause: Cause | None = None
    message: str = ""
    is_asked: bool = True


def base_finding(client: EngineClient, reference: Reference, platform: str) -> Finding:
    """Compare the base on the engine with that of its registry, which is asked without credentials.

    Raises:
        EngineError: the engine stops answering.
    """
    with translate_errors(client.host):
        base, image = find_base(client, str(reference)), client.inspect_image(str(reference)) or {}
        registry = _ask(client, reference)
        near = "" if base or registry.digest else near_image(client, reference)
    pull = shell_join(client.docker_command("pull", "--platform", platform, str(reference)))
    if not base:
        missing = _missing(reference, registry, pull)
        return missing._replace(fix=f"{near}\n{missing.fix}") if near else missing
    if not f"{base.platform}/".startswith(f"{platform}/"):
        what = f"{reference} is here for {base.platform}, not for {platform}"
        return Finding("base", Status.BLOCKS, what, _NO_BUILD, pull)
    here = f"{reference} is here, made {_age(image)}"
    if reference.digest:
        return Finding("base", Status.OK, f"{here}, and named by its digest")
    if registry.digest and _has_digest(image, registry.digest):
        return Finding("base", Status.OK, f"{here}; its registry has no newer one")
    if registry.digest:
        what = f"{here}; its registry has another one"
        return Finding("base", Status.WARNING, what, f"{_NEVER_PULLED} Newer ones have fixes.", pull)
    why = f"{_reason(reference, registry)} {_NEVER_PULLED}"
    seconds = epoch_seconds(image.get("Created", ""))
    status = Status.WARNING if seconds and days_since(seconds) > _OLD else Status.NOTE
    may_have_it = reference.host and registry.cause in {None, Cause.SIGN_IN, Cause.FORBIDDEN}
    what, fix = f"{here}; whether there is a newer one is not known", pull if may_have_it else ""
    return Finding("base", status, what, why, fix)


def _ask(client: EngineClient, reference: Reference) -> _Registry:
    """Ask the registry by the engine, which reaches it as a pull does. Podman's API has no such question."""
    if client.is_podman:
        return _Registry("", is_asked=False)
    status, answer = client.ask_registry(str(reference))
    if status == HTTPStatus.OK:
        descriptor = answer.get("Descriptor") if isinstance(answer, dict) else None
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        return (
            _Registry(str(digest)) if is_digest(digest) else _Registry("", message="the answer has no digest")
        )
    message = str(answer.get("message", "")) if isinstance(answer, dict) else _decoded(answer)
    return _Registry("", cause_of(message) or cause_of_status(status), one_line(message))


def _decoded(answer: Any) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else json.dumps(answer)


def _missing(reference: Reference, registry: _Registry, pull: str) -> Finding:
    if registry.digest:
        return Finding(
            "base", Status.OK, f"{reference} is not here yet; its registry has it, and a build pulls it"
        )
    what, why = f"{reference} is not here", _reason(reference, registry)
    if registry.cause is Cause.NOT_FOUND:
        return Finding(
            "base", Status.BLOCKS, f"{what}, and its registry does not have it", why, "Name another base."
        )
    if registry.cause in {Cause.SIGN_IN, Cause.FORBIDDEN, Cause.NOT_FOUND_OR_FORBIDDEN}:
        what += "; without a sign-in its registry does not tell whether it has it"
        return Finding("base", Status.UNKNOWN, what, why, pull)
    if not registry.cause:
        return Finding("base", Status.UNKNOWN, f"{what}; whether its registry has it is not known", why, pull)
    fix = f"Check the engine's network, DNS and proxies; then: {pull}"
    return Finding("base", Status.BLOCKS, f"{what}, and its registry was not reached", why, fix)


def _reason(reference: Reference, registry: _Registry) -> str:
    if not registry.is_asked:
        return "Podman's API asks no registry."
    said = f": {registry.message}" if registry.message else ""
    return f"The registry {reference.host or 'docker.io'} was asked by the engine, without credentials{said}."


def _age(image: dict[str, Any]) -> str:
    """Return when an image was made, for people."""
    seconds = epoch_seconds(image.get("Created", ""))
    if not seconds:
        return "at an unknown time"
    days = int(days_since(seconds))
    return "today" if days < 1 else f"{days} day{'' if days == 1 else 's'} ago"


def _has_digest(image: dict[str, Any], digest: str) -> bool:
    return any(name.endswith(f"@{digest}") for name in image.get("RepoDigests") or [])
