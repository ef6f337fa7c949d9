"""A conda file that a source names, read for the Python that it wants. Its own reader says what became of its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azureml_tasks.config.yaml_document import LARGEST_YAML
from azureml_tasks.requirements.conda import CondaFile, read_conda
from azureml_tasks.text_file import UnreadableFile, read_text

if TYPE_CHECKING:
    from azureml_tasks.migration.surroundings import Surroundings


def read_conda_at(surroundings: Surroundings, path: str) -> CondaFile:
    """Return the conda file at *path*, relative to the project's folder; one without a path if it cannot be read."""
    located = surroundings.locate(path)
    if located.kind != "file":
        return CondaFile(path="")
    try:
        text = read_text(surroundings.folder / located.name, largest=LARGEST_YAML)
    except (FileNotFoundError, UnreadableFile):
        return CondaFile(path="")
    return read_conda(located.name, text)[0]
