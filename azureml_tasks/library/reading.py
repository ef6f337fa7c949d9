"""Read a project as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.library.arguments import Arguments, naming_commands
from azureml_tasks.project import load as reading

if TYPE_CHECKING:
    from pathlib import Path

    from azureml_tasks.project.model import Project


def load(folder: str | Path, *, image: str = "") -> Project:
    """Read the project in *folder*, or one of its images if its table has several.

    Args:
        folder: the folder of pyproject.toml, relative to the current folder.
        image: which of the table's images; "" if the table itself is the image.

    Raises:
        SettingsError: everything that is wrong in the table and the files that it names.
        MachineError: a file cannot be read.
    """
    with naming_commands(Arguments(project=folder, image=image or None)):
        return reading.load(folder, image=image)


def image_names(folder: str | Path) -> tuple[str, ...]:
    """Return the names of the images of the project in *folder*, in order; empty if its table itself is the image.

    Args:
        folder: the folder of pyproject.toml, relative to the current folder.

    Raises:
        SettingsError: there is no such file or table, or the file cannot be read.
        MachineError: a file cannot be read.
    """
    with naming_commands(Arguments(project=folder)):
        return reading.image_names(folder)
