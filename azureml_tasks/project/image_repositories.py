"""The repositories of several images of one table, and the name under which they share cached layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.config import image_tables, validators
from azureml_tasks.config.problems import spell
from azureml_tasks.requirements.lines import normalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azureml_tasks.config.problems import Problems


def with_image(name: str, image: str) -> str:
    """Return the repository of one of several images whose own table names none."""
    return f"{name}-{image}"


def family(problems: Problems) -> str:
    """Return the name under which the table's images share cached layers; "" if the table itself is the image.

    It is that of the project, or else the repository of the first image.
    """
    if not problems.own:
        return ""
    return _common_name(problems.document) or next(iter(_repositories(problems.document).values()))


def refuse_same_names(problems: Problems) -> None:
    """Report each image that has the repository of an earlier one: their pushes would replace each other's tags."""
    own = problems.own
    if not own:
        return
    names = _repositories(problems.document)
    first, *others = [image for image, name in names.items() if name == names[own.name]]
    for other in others if names[own.name] else ():
        place = (image_tables.KEY, other)
        what = f'{spell(place)} has the repository "{names[other]}", and so has {spell((image_tables.KEY, first))}'
        problems.add((*place, "name"), what, 'Write another name into one of the two: name = "…"')


def _repositories(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the repository of each image, in order; "" if it is not known."""
    common = _common_name(document)
    return {
        image: _name_in(table) or (with_image(common, image) if common else "")
        for image, table in document["tool"]["azureml-image"][image_tables.KEY].items()
    }


def _common_name(document: Mapping[str, Any]) -> str:
    """Return the name of the top table, or else that of the project, normalised (PEP 503); "" for no valid one."""
    project = document.get("project")
    name = _name_in(document["tool"]["azureml-image"]) or normalize_name(_name_in(project))
    return "" if validators.REPOSITORY.error(name) else name


def _name_in(table: Any) -> str:
    name = table.get("name") if isinstance(table, dict) else None
    return name if isinstance(name, str) else ""
