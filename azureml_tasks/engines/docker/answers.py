"""The form of an engine's answers about containers and of its events; `image_form` has that of images."""

from __future__ import annotations

from typing import Any

from azureml_tasks.engines.docker.socket_http import UnreadableAnswer

_CONTAINER: dict[str, Any] = {
    "Id": str,
    "State": {"Running": bool, "ExitCode": int, "OOMKilled": bool},
    "NetworkSettings": {"Ports": {}},
}
"""https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerInspect"""

_EVENT: dict[str, Any] = {
    "id": str,
    "status": str,
    "stream": str,
    "error": str,
    "progressDetail": {"current": (int, float), "total": (int, float)},
}
"""https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageCreate and those of a push and a
build, whose `aux` has several forms."""


def container_details(answer: Any) -> dict[str, Any]:
    """Return what the engine says of a container.

    Raises:
        UnreadableAnswer: it has no ID, or a value of another type than the API describes.
    """
    return _details(answer, _CONTAINER, "the container")


def identifier(answer: Any, where: str) -> str:
    """Return the ID in an answer; errors as of `container_details`."""
    return str(_details(answer, {"Id": str}, where)["Id"])


def event_details(event: Any) -> dict[str, Any]:
    """Return an event of a pull, a push or a build; errors as of `container_details`."""
    _check(event, _EVENT, "an event")
    return {name: value for name, value in event.items() if value is not None}


def member(answer: Any, name: str, form: Any) -> Any:
    """Return a member of an answer, None if it is absent; errors as of `container_details`.

    Args:
        answer: any JSON.
        name: of the member.
        form: a type, or as of `_check`.
    """
    _check(answer, {name: form}, "the answer")
    return answer.get(name)


def _details(answer: Any, form: dict[str, Any], where: str) -> dict[str, Any]:
    _check(answer, form, where)
    if not answer.get("Id"):
        raise UnreadableAnswer(f"{where} has no Id")
    return {name: value for name, value in answer.items() if value is not None}


def _check(value: Any, form: Any, where: str) -> None:
    """Check a value against its form: a type or several, a list of one form, or forms by key; null is as absent."""
    types = (type(form),) if isinstance(form, dict | list) else form if isinstance(form, tuple) else (form,)
    if type(value) not in types:
        raise UnreadableAnswer(f"{where} is of another type than the engine's API describes")
    if isinstance(form, list):
        for item in value:
            _check(item, form[0], where)
    elif isinstance(form, dict):
        for name, inner in form.items():
            if value.get(name) is not None:
                _check(value[name], inner, f"{where}.{name}")
