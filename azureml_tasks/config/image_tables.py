"""Several images in one table: `[tool.azureml-image.images.NAME]` changes what the top table says, for one image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.config.validators import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azureml_tasks.config.toml_positions import Path as Place

KEY = "images"
_LONGEST = 40  # characters
_NAME = rf"(?=.{{1,{_LONGEST}}}$)[a-z0-9]+(-[a-z0-9]+)*"
_RESERVED = r"all|staged|run-.*"
"""`all` reads as every image; the others are names of folders beside the records of the images, see `state.records`."""


def _name_error(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        return "is not a name of an image"
    return "is a name that azureml-tasks keeps for itself" if re.fullmatch(_RESERVED, name) else ""


NAME = Rule(
    error=_name_error,
    fix=f'Use lower-case letters and digits, with "-" between them, {_LONGEST} characters at most, '
    f"such as [tool.azureml-image.{KEY}.gpu]",
    schema={"pattern": f"^(?!(?:{_RESERVED})$)(?:{_NAME})$"},
)
"""What an image may be called: it ends the name of its repository, and is a folder of its records."""

_ALTERNATIVES: tuple[tuple[Place, Place], ...] = (
    (("smoke-test", "request"), ("smoke-test", "requests")),
    (("model",), ("smoke-test", "model")),
    (("registry",), ("acr", "workspace")),
    (("base",), ("dockerfile",)),
)
"""Keys of which a table has one alone: an image that sets one of them does without the other one of the top table."""


def image_names(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the images, in order; empty if the table itself is the image, or `images` is no table."""
    images = table.get(KEY)
    return tuple(images) if isinstance(images, dict) else ()


class ImageTable(NamedTuple):
    """The table of one image: the top table with what the image's own table changes.

    Args:
        name: of the image.
        values: both merged; tables key by key, while an array of the image's own table replaces that of the top table.
        replaced: places whose value is the own table's, with everything in it.
        merged: places of tables that both have.
        elsewhere: keys that the own tables of other images have.
    """

    name: str
    values: Mapping[str, Any]
    replaced: frozenset[Place]
    merged: frozenset[Place]
    elsewhere: frozenset[str]

    @property
    def place(self) -> Place:
        """The place of the image's own table in the top table."""
        return KEY, self.name

    def is_own(self, place: Place) -> bool:
        """Return whether what is at *place* comes from the image's own table."""
        for length in range(1, len(place) + 1):
            if place[:length] in self.replaced:
                return True
            if place[:length] not in self.merged:
                return False
        return bool(place)

    def has(self, place: Place) -> bool:
        """Return whether the image has something at *place*."""
        return _has(self.values, place)

    def home(self, place: Place) -> Place:
        """Return *place* as a path in the top table, where what is there is written."""
        return (*self.place, *place) if self.is_own(place) else place


def image_table(
    table: Mapping[str, Any], name: str, shared: frozenset[str], beside_dockerfile: frozenset[str]
) -> ImageTable:
    """Return the table of one image; a value of another type counts as an empty table.

    Args:
        table: the top table.
        name: of the image, one of `image_names`.
        shared: keys that all images share, `images` among them; those of the image's own table are left out.
        beside_dockerfile: keys that an image whose own table has `dockerfile` takes from the top table.
    """
    top = {key: value for key, value in table.items() if key != KEY}
    own = table[KEY][name]
    own = {key: value for key, value in own.items() if key not in shared} if isinstance(own, dict) else {}
    if "dockerfile" in own:  # The other keys of the top table are for images whose Dockerfile is generated.
        top = {key: value for key, value in top.items() if key in beside_dockerfile}
    for pair in _ALTERNATIVES:
        for chosen, other in (pair, pair[::-1]):
            if _has(own, chosen) and not _has(own, other):
                top = _without(top, other)
    replaced: set[Place] = set()
    merged: set[Place] = set()
    values = _merged(top, own, (), replaced, merged)
    others = (other for each, other in table[KEY].items() if each != name and isinstance(other, dict))
    return ImageTable(
        name=name,
        values=values,
        replaced=frozenset(replaced),
        merged=frozenset(merged),
        elsewhere=frozenset(key for other in others for key in other),
    )


def _merged(
    top: Mapping[str, Any], own: Mapping[str, Any], place: Place, replaced: set[Place], merged: set[Place]
) -> dict[str, Any]:
    values = dict(top)
    for key, value in own.items():
        inner = (*place, key)
        if isinstance(value, dict) and isinstance(top.get(key), dict):
            merged.add(inner)
            values[key] = _merged(top[key], value, inner, replaced, merged)
        else:
            replaced.add(inner)
            values[key] = value
    return values


def _has(value: Any, place: Place) -> bool:
    for part in place:
        is_item = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not is_item and not (isinstance(value, dict) and part in value):
            return False
        value = value[part]
    return True


def _without(table: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return *table* without the key at *place*."""
    first, *rest = place
    if not _has(table, place):
        return dict(table)
    if not rest:
        return {key: value for key, value in table.items() if key != first}
    return {**table, str(first): _without(table[str(first)], tuple(rest))}


def misplaced_keys(images: Mapping[str, Any], shared: frozenset[str]) -> Iterator[Place]:
    """Yield the place of each key that an image's own table may not have, because all images share it."""
    for name, table in images.items():
        if isinstance(table, dict):
            yield from ((KEY, name, key) for key in table if key in shared)
