"""Frozen dataclasses as JSON: the encoder, the decoder, and the JSON Schema, all from the types of the fields.

A field is a key of the same name. A text that may be missing has the default "": it is null in what is printed. Fields
may be texts, numbers, booleans, literals, enumerations, tuples, mappings by text, other such classes, or `Any`; an
`Annotated` type carries the check of its values, a function that returns a boolean.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, Union

from azureml_tasks.plain_text import escape_json

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
HIDDEN: Mapping[str, Any] = types.MappingProxyType({"json": False})
"""Metadata of a field that is no key."""
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


class WrongShape(ValueError):
    """A value is not what the class says.

    Args:
        keys: those that are missing, then those whose values are wrong.
    """

    def __init__(self, keys: list[str]) -> None:
        super().__init__(f"missing or not valid: {', '.join(keys)}")
        self.keys = keys


class _Field(NamedTuple):
    name: str
    hint: Any
    default: Any
    """`dataclasses.MISSING` if it has none."""


def _fields(cls: Any) -> tuple[_Field, ...]:
    """Return the fields of *cls* that are keys."""
    return _cached_fields(cls)


@cache  # Its own types do not take a class (python/typeshed, `_lru_cache_wrapper`).
def _cached_fields(cls: Any) -> tuple[_Field, ...]:
    """Return the fields of *cls* that are keys."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        _Field(field.name, hints[field.name], _default(field))
        for field in dataclasses.fields(cls)
        if field.metadata.get("json", True)
    )


def _default(field: dataclasses.Field[Any]) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def text_of(value: Any) -> str:
    """Return *value* as a JSON document that is safe to print."""
    return escape_json(json.dumps(encode(value), indent=2, ensure_ascii=False))


def encode(value: Any, *, omit_defaults: bool = False) -> Any:
    """Return *value* as `json.dumps` takes it.

    Args:
        value: a dataclass, or what one holds.
        omit_defaults: leave a key out whose value is its default; else an empty text that is one becomes null.
    """
    if dataclasses.is_dataclass(value):
        pairs = ((each, getattr(value, each.name)) for each in _fields(type(value)))
        if omit_defaults:
            return {
                each.name: encode(part, omit_defaults=True) for each, part in pairs if part != each.default
            }
        return {
            each.name: None if part == "" and each.default == "" else encode(part) for each, part in pairs
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {name: encode(part, omit_defaults=omit_defaults) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(part, omit_defaults=omit_defaults) for part in value]
    return value


def decode(cls: type[T], value: Any) -> T:
    """Return *value*, which `json.loads` has returned, as a *cls*; keys that it does not have are not read.

    Raises:
        WrongShape: a key is missing, or its value is not what the field says.
    """
    if not isinstance(value, dict):
        raise WrongShape(["an object"])
    fields = _fields(cls)
    missing = [each.name for each in fields if each.default is dataclasses.MISSING and each.name not in value]
    wrong, parts = [], {}
    for each in fields:
        if each.name in value:
            try:
                parts[each.name] = _decoded(each.hint, value[each.name])
            except WrongShape:
                wrong.append(each.name)
    if missing or wrong:
        raise WrongShape([*missing, *wrong])
    return cls(**parts)


def _decoded(hint: Any, value: Any) -> Any:
    """Return *value* as the type *hint* says.

    Raises:
        WrongShape: it is of another type, or does not pass a check.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        decoded = _decoded(arguments[0], value)
        if not all(check(value) for check in arguments[1:]):
            raise WrongShape([])
        return decoded
    if origin in {Union, types.UnionType}:
        return _decoded_as_one_of(arguments, value)
    if origin is Literal:
        if value not in arguments or isinstance(value, bool):
            raise WrongShape([])
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_decoded(arguments[0], part) for part in value)
    if origin is Mapping and isinstance(value, dict):
        return (
            value
            if arguments[1] is Any
            else {name: _decoded(arguments[1], part) for name, part in value.items()}
        )
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), value)
    if hint is Any or type(value) is hint or (hint is float and type(value) is int):
        return value
    raise WrongShape([])


def _decoded_as_one_of(hints: tuple[Any, ...], value: Any) -> Any:
    for hint in hints:
        try:
            return _decoded(hint, value)
        except WrongShape:
            continue
    raise WrongShape([])


def schema_of(cls: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to the schema of *cls*, and add it to *definitions* with those that it refers to."""
    if cls.__name__ not in definitions:
        definitions[cls.__name__] = {}  # It may refer to itself.
        described = _descriptions(cls)
        properties = {}
        for each in _fields(cls):
            part = _schema(each.hint, definitions)
            if each.default == "" and part == {"type": "string"}:
                part = {"type": ["string", "null"]}
            properties[each.name] = part | (
                {"description": described[each.name]} if each.name in described else {}
            )
        definitions[cls.__name__] = {
            "description": (cls.__doc__ or "").partition("\n")[0],
            "type": "object",
            "properties": properties,
            "required": list(properties),
        }
    return {"$ref": f"#/definitions/{cls.__name__}"}


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _schema(arguments[0], definitions)
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_schema(each, definitions) for each in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if dataclasses.is_dataclass(hint):
        return schema_of(typing.cast("type[Any]", hint), definitions)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    return {} if hint is Any else {"type": _PLAIN[hint]}


def _descriptions(cls: type[Any]) -> dict[str, str]:
    """Return what the docstrings of *cls* and of the classes that it extends say of each field."""
    described: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        described |= dict(_arguments(inspect.cleandoc(each.__doc__ or "")))  # Python 3.13 cleans it itself.
    return described


def _arguments(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield each name below `Args:` with its text on one line."""
    _, _, text = docstring.partition("Args:\n")
    for name, words in re.findall(r"^ {4}(\w+): ((?:.*)(?:\n {8}.*)*)", text, re.MULTILINE):
        yield name, " ".join(words.split())
