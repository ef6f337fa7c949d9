"""Where the table goes: into pyproject.toml or into one of its images, or nowhere, because it is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azureml_tasks.config import image_tables
from azureml_tasks.config.fields import keys
from azureml_tasks.config.problems import FILE
from azureml_tasks.config.settings import Settings
from azureml_tasks.errors import FileProblem, SettingsError
from azureml_tasks.migration.table.comparison import OF_ALL_IMAGES
from azureml_tasks.migration.table.table_text import own_table, read_document, table_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHARED = frozenset(name for name, (_, key) in keys(Settings).items() if key.shared)
_BESIDE_DOCKERFILE = frozenset(name for name, (_, key) in keys(Settings).items() if key.beside_dockerfile)


@dataclass(frozen=True, kw_only=True)
class TablePlace:
    """Where the table goes.

    Args:
        document: pyproject.toml, parsed; empty if there is none.
        image: whose own table it is; "" for the table itself.
        top: the table [tool.azureml-image] that exists; None if there is none.
        existing: the table that exists, with what it has from *top*, and is compared; None if one is written.
    """

    document: Mapping[str, Any]
    image: str
    top: Mapping[str, Any] | None
    existing: Mapping[str, Any] | None


def table_place(text: str, image: str) -> TablePlace:
    """Return where the table goes.

    Args:
        text: of pyproject.toml; "" if there is none.
        image: that the run names; "" for none.

    Raises:
        SettingsError: the text is not TOML, or it has several images, and none is named.
    """
    document = read_document(text)
    top = own_table(document)
    names = image_tables.image_names(top) if top is not None else ()
    if top is not None and names and not image:
        what = f"[tool.azureml-image] has several images: {', '.join(names)}"
        raise SettingsError([FileProblem(FILE, 0, what, "Name one of them, or a new one: --image NAME")])
    if top is None or not image:
        return TablePlace(document=document, image=image, top=top, existing=top)
    if image not in names:
        return TablePlace(document=document, image=image, top=top, existing=None)
    values = image_tables.image_table(top, image, _SHARED, _BESIDE_DOCKERFILE).values
    shared = {name: value for name, value in top.items() if name in _SHARED and name != image_tables.KEY}
    return TablePlace(document=document, image=image, top=top, existing={**values, **shared})


def placed_text(place: TablePlace, table: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Return the text to add to pyproject.toml.

    Args:
        place: where it goes; no table exists there.
        table: in the order of the settings.
        comments: key → what to write beside it.

    Raises:
        SettingsError: the table that exists already says something of the new image.
    """
    if not place.image:
        return table_text(table, comments=comments)
    shared = {name: value for name, value in table.items() if name in _SHARED}
    own = {name: value for name, value in table.items() if name not in _SHARED}
    text = table_text(own, place.image, comments)
    if place.top is None:
        return table_text(shared) + "\n" + text if shared else text
    _refuse_image_beside(place.top, place.image, str(shared.get("root", "")))
    return text


def _refuse_image_beside(top: Mapping[str, Any], image: str, root: str) -> None:
    """Refuse to add an image to a table that says what is in an image itself."""
    in_the_way = [name for name in top if name not in OF_ALL_IMAGES]
    if in_the_way:
        what = (
            f'[tool.azureml-image] has {", ".join(in_the_way)}, and the image "{image}" would have the same'
        )
        fix = "Move what only another image has into its own table, such as [tool.azureml-image.images.cpu]."
        raise SettingsError([FileProblem(FILE, 0, what, fix)])
    if root and top.get("root") != root:
        what = f'the image "{image}" needs root = "{root}", which [tool.azureml-image] does not have'
        raise SettingsError([FileProblem(FILE, 0, what, f'Write into [tool.azureml-image]: root = "{root}"')])
