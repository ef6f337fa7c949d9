"""A table that exists, compared key by key with what the sources say. It stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config.fields import STRING_OR_STRINGS, keys
from azureml_tasks.config.settings import Settings
from azureml_tasks.image_reference import expand_base

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.config.problems import Place

OF_ALL_IMAGES = frozenset({
    *("acr", "cached-layers-max-age", "images", "name", "platform", "registry", "root"),
    *("secrets", "shared-layers", "tags"),
})  # fmt: skip
"""Keys that say nothing of what is in an image, so that no source has them."""
_DEFAULT_PATHS = {"code": "code", "entry-script": "score.py"}
"""Paths that count without being written, if they exist."""


class Difference(NamedTuple):
    """One key of a table that exists, compared with what the sources say.

    Args:
        key: its path, with dots.
        table: its value in the table; None if it has none.
        sources: what the sources say; None if they say nothing.
    """

    key: str
    table: Any
    sources: Any


def differences(table: Mapping[str, Any], sources: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return what differs in meaning; keys that are none of the sources' matter are left out.

    Args:
        table: that exists; its values may be wrong.
        sources: the table that the sources make.
    """
    return tuple(_differences(_normal(table), _normal(sources), ()))


def _differences(table: Mapping[str, Any], sources: Mapping[str, Any], place: Place) -> Iterator[Difference]:
    for name in dict.fromkeys((*table, *sources)):
        inner = (*place, name)
        left, right = table.get(name), sources.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _differences(left, right, inner)
        elif left != right and not (right is None and inner[0] in OF_ALL_IMAGES):
            yield Difference(key=".".join(map(str, inner)), table=left, sources=right)


def _normal(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return *table* without what is the default, with one way to write what can be written in several."""
    defaults = Settings()
    declared = keys(Settings)
    normal = {}
    for name, value in table.items():
        field, key = declared.get(name, (None, None))
        plain = _plain(value) if key and key.type == STRING_OR_STRINGS else value
        default = getattr(defaults, field) if field else None
        if plain in (default, _DEFAULT_PATHS.get(name)) or plain in ([], {}):
            continue
        normal[name] = plain
    if isinstance(base := normal.get("base"), str):
        normal["base"] = str(expand_base(base) or base)
    if isinstance(smoke_test := normal.get("smoke-test"), dict) and "request" in smoke_test:
        rest = {name: value for name, value in smoke_test.items() if name != "request"}
        normal["smoke-test"] = {"requests": [{"file": smoke_test["request"]}], **rest}
    return normal


def _plain(value: Any) -> Any:
    """Return *value* with an array of one string as the string, which means the same for a key that takes both."""
    is_single = isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)
    return value[0] if is_single else value
