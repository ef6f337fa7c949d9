"""The name and the version of a project, if its pyproject.toml does not give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml_tasks.config import validators
from azureml_tasks.project.model import Revision
from azureml_tasks.project.naming import is_dynamic, poetry_table
from azureml_tasks.requirements.lines import normalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azureml_tasks.project.model import NoRevision

_ANY_NAME = "scoring"


def project_name(folder: Path) -> str:
    """Return a name for the project in *folder*: that of the folder, if an image can have it."""
    name = normalize_name(folder.name)
    return _ANY_NAME if validators.REPOSITORY.error(name) else name


def naming_keys(
    document: Mapping[str, Any], folder: Path, revision: Revision | NoRevision, image: str = ""
) -> dict[str, Any]:
    """Return the keys `name` and `tags` that the table needs because [project] does not give them.

    Args:
        document: of pyproject.toml that exists.
        folder: of the project.
        revision: the commit.
        image: whose own table it is; "" for the table itself.
    """
    project = document.get("project")
    project = project if isinstance(project, dict) else {}
    keys: dict[str, Any] = {}
    if not _is_name(project.get("name")):
        poetry = poetry_table(document).get("name")
        name = normalize_name(str(poetry)) if _is_name(poetry) else project_name(folder)
        keys["name"] = f"{name}-{image}" if image else name
    if isinstance(project.get("version"), str):
        return keys
    if isinstance(revision, Revision):
        keys["tags"] = ["{git-sha}"]
    elif not is_dynamic(project, "version"):
        keys["tags"] = ["{date}"]
    return keys


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and not validators.REPOSITORY.error(normalize_name(name))
