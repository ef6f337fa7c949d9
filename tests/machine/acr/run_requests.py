"""The schema of `scheduleRun`, and Azure's messages for what does not match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["RefusedError", "checked"]

_TIMEOUT = (300, 28800)
_PLATFORM = {"os": str, "architecture": str, "variant": str}
_NAMED = {"name": str, "value": str, "isSecret": bool}
_SECRET = {"value": str, "type": str}
_CREDENTIALS = {
    "sourceRegistry": {"identity": str, "loginMode": str},
    "customRegistries": {"*": {"userName": _SECRET, "password": _SECRET, "identity": str}},
}
_COMMON = {
    "type": str,
    "isArchiveEnabled": bool,
    "agentPoolName": str,
    "logTemplate": str,
    "timeout": int,
    "platform": _PLATFORM,
    "agentConfiguration": {"cpu": int},
    "sourceLocation": str,
    "credentials": _CREDENTIALS,
}
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "DockerBuildRequest": {
        **_COMMON,
        "imageNames": [str],
        "isPushEnabled": bool,
        "noCache": bool,
        "dockerFilePath": str,
        "target": str,
        "arguments": [_NAMED],
    },
    "EncodedTaskRunRequest": {
        **_COMMON,
        "encodedTaskContent": str,
        "encodedValuesContent": str,
        "values": [_NAMED],
    },
    "FileTaskRunRequest": {**_COMMON, "taskFilePath": str, "valuesFilePath": str, "values": [_NAMED]},
}
_REQUIRED = {
    "DockerBuildRequest": ("dockerFilePath", "platform"),
    "EncodedTaskRunRequest": ("encodedTaskContent", "platform"),
    "FileTaskRunRequest": ("taskFilePath", "platform"),
}


class RefusedError(Exception):
    """The request is refused, with Azure's error code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def checked(body: Any) -> Mapping[str, Any]:
    """Validate a request.

    Raises:
        RefusedError: a member is unknown, missing, of another type, or out of range.
    """
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise _content(
            f"Could not create an instance of type 'RunRequest': the type is {kind!r}. Path 'type'."
        )
    _look(body, _KINDS[kind], kind, "")
    for name in _REQUIRED[kind]:
        if not body.get(name):
            raise _content(f"Required property '{name}' not found in JSON of type '{kind}'. Path ''.")
    if not body["platform"].get("os"):
        raise _content(
            "Required property 'os' not found in JSON of type 'PlatformProperties'. Path 'platform'."
        )
    low, high = _TIMEOUT
    if body.get("timeout") is not None and not low <= body["timeout"] <= high:
        raise RefusedError(
            "InvalidParameter",
            f"The run timeout {body['timeout']} is invalid. It must be between {low} and {high} seconds.",
        )
    cpu = (body.get("agentConfiguration") or {}).get("cpu")
    if cpu is not None and cpu != 2:
        raise RefusedError(
            "InvalidParameter", f"The CPU count {cpu} is invalid. The supported values are (2)."
        )
    request: Mapping[str, Any] = body
    return request


def _look(value: Any, schema: Any, name: str, path: str) -> None:
    if value is None:
        return
    if isinstance(schema, list):
        _typed(value, list, path)
        for number, item in enumerate(value):
            _look(item, schema[0], name, f"{path}[{number}]")
    elif isinstance(schema, dict):
        _typed(value, dict, path)
        for key, item in value.items():
            inner = f"{path}.{key}" if path else key
            if key not in schema and "*" not in schema:
                raise _content(
                    f"Could not find member '{key}' on object of type '{name}'. Path '{inner}', line 1."
                )
            _look(item, schema.get(key, schema.get("*")), key, inner)
    else:
        _typed(value, schema, path)


def _typed(value: Any, expected: type, path: str) -> None:
    # In Python true is a number, in JSON it is not.
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise _content(
            f"Error converting value {value!r} to type '{expected.__name__}'. Path '{path}', line 1."
        )


def _content(problem: str) -> RefusedError:
    return RefusedError(
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: '{problem}'.",
    )
