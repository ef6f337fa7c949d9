"""`Plan` ↔ JSON, without loss: each value that JSON does not have is an object that bears its type's name."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from azureml_tasks.absent import ABSENT

__all__ = ["UnspeakableError", "decoded", "encoded"]

_HOMES = {
    "Acr": "settings",
    "BuildSecret": "planning",
    "ContextFile": "context_file",
    "Plan": "planning",
    "Proof": "planning",
    "ProofRequest": "planning",
    "PythonStep": "python_step",
    "Reference": "reference",
    "Run": "settings",
}
"""Each class that a plan is made of, and its module, which is imported where one is met."""


_AS_IS = {type(None), bool, int, float, str}
"""What JSON has of its own."""


class UnspeakableError(TypeError):
    """A value has no form in JSON that leads back to it."""


def encoded(value: Any) -> Any:
    """*value* as JSON has it.

    Raises:
        UnspeakableError: there is something in it that does not come back.
    """
    if type(value) in _AS_IS:
        return value
    if value is ABSENT:
        return {"absent": True}
    if type(value).__name__ in _HOMES:
        return {type(value).__name__: _fields(value)}
    match value:
        case bytes():
            return {"bytes": base64.b64encode(value).decode("ascii")}
        case Path():
            return {"path": str(value)}
        case tuple() | frozenset():
            name = type(value).__name__
            return {name: [encoded(item) for item in (sorted(value) if name == "frozenset" else value)]}
        case list():
            return [encoded(item) for item in value]
        case Mapping():
            return {"table": [[encoded(key), encoded(item)] for key, item in value.items()]}
    raise UnspeakableError(type(value).__name__)


def _fields(value: Any) -> dict[str, Any]:
    """What differs from the defaults: of thousands of files most is as it mostly is."""
    named = value._asdict() if hasattr(value, "_asdict") else vars(value)
    usual = getattr(value, "_field_defaults", {})
    return {
        name: encoded(item) for name, item in named.items() if name not in usual or item is not usual[name]
    }


def decoded(value: Any) -> Any:
    """What *value* was before `encoded`."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((name, inner),) = value.items()
    if name not in _HOMES:
        return _PLAIN[name](inner)
    fields = {field: item if type(item) in _AS_IS else decoded(item) for field, item in inner.items()}
    return _kind(name)(**fields)


@cache
def _kind(name: str) -> Any:
    return getattr(import_module(f"azureml_tasks.{_HOMES[name]}"), name)


_PLAIN: Mapping[str, Any] = {
    "absent": lambda _inner: ABSENT,
    "bytes": base64.b64decode,
    "frozenset": lambda inner: frozenset(map(decoded, inner)),
    "path": Path,
    "table": lambda inner: {decoded(key): decoded(item) for key, item in inner},
    "tuple": lambda inner: tuple(map(decoded, inner)),
}
