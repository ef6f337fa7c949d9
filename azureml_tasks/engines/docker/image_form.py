"""What an engine says of an image, with everything that is read of it in its form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.engines.docker.socket_http import UnreadableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]


def image_of(answer: Any) -> dict[str, Any]:
    """Return the answer to `GET /images/NAME/json`; what it lacks is empty.

    Raises:
        UnreadableAnswer: it is none, or a part that is read is not what the API says.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("Id"), str):
        raise UnreadableAnswer("the answer does not describe an image")
    image = {key: value for key, value in answer.items() if value is not None}
    image = {**_EMPTY, **image}
    wrong = [*_wrong(image, _FORM), *_wrong(image["Config"], _CONFIG), *_wrong(image["RootFS"], _ROOT)]
    wrong += [*_wrong(image["GraphDriver"], _DRIVER), *_wrong(image["Metadata"], _METADATA)]
    if wrong:
        raise UnreadableAnswer(f"of the image {image['Id']} these are of another type: {', '.join(wrong)}")
    layers = image["RootFS"].get("Layers") or []
    return {**image, "RootFS": {**image["RootFS"], "Layers": layers}}


def history_of(answer: Any) -> list[dict[str, Any]]:
    """Return the answer to `GET /images/NAME/history`; what a step lacks is empty.

    Raises:
        UnreadableAnswer: it is none, or a part that is read is not what the API says.
    """
    if not isinstance(answer, list) or not all(isinstance(step, dict) for step in answer):
        raise UnreadableAnswer("the answer is no history of an image")
    if wrong := {key for step in answer for key in _wrong(step, _STEP)}:
        raise UnreadableAnswer(f"in the history of an image these are of another type: {', '.join(wrong)}")
    return [
        {**_EMPTY_STEP, **{key: value for key, value in step.items() if value is not None}} for step in answer
    ]


def _wrong(value: Any, form: Mapping[str, Check]) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [key for key, check in form.items() if value.get(key) is not None and not check(value[key])]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


_EMPTY: Mapping[str, Any] = {
    "Os": "",
    "Architecture": "",
    "Variant": "",
    "Created": "",
    "Size": 0,
    "RepoTags": [],
    "RepoDigests": [],
    "Config": {},
    "RootFS": {},
    "GraphDriver": {},
    "Metadata": {},
}
# https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageInspect
_FORM: Mapping[str, Check] = {
    **dict.fromkeys(("Os", "Architecture", "Variant", "Created"), _is_text),
    **dict.fromkeys(("RepoTags", "RepoDigests"), _is_texts),
    **dict.fromkeys(("Config", "RootFS", "GraphDriver", "Metadata"), _is_object),
    "Size": _is_size,
}
_EMPTY_STEP: Mapping[str, Any] = {"Created": 0, "CreatedBy": "", "Size": 0}
# https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageHistory
_STEP: Mapping[str, Check] = {"Created": _is_size, "CreatedBy": _is_text, "Size": _is_size}
_CONFIG: Mapping[str, Check] = {
    "Env": _is_texts,
    "User": _is_text,
    "Entrypoint": _is_texts,
    "Cmd": _is_texts,
    "Labels": _is_object,
    "ExposedPorts": _is_object,
}
_ROOT: Mapping[str, Check] = {"Layers": _is_texts}
_DRIVER: Mapping[str, Check] = {"Name": _is_text}
_METADATA: Mapping[str, Check] = {"LastTagTime": _is_text}
