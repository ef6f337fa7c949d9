"""Which files and folders of a project look like models."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from azureml_tasks.migration.kinds import kind_of_name
from azureml_tasks.migration.reading import Kind
from azureml_tasks.migration.search.folder_files import MODEL_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAY_BE_DATA = re.compile(r".*\.(?:bin|h5|hdf5|npy|npz|params|rds|weights)", re.IGNORECASE)
"""Endings of models that data has as well: outside of a folder for models they count for nothing."""
_DATA = frozenset({"data", "dataset", "datasets", "test", "tests", "testing", "docs"})


def model_candidates(names: Sequence[str], mlflow: Sequence[str]) -> list[str]:
    """Return the files and folders that look like models, the outermost ones, sorted.

    The folder of an MLflow model is one. A folder that is named for models counts as a whole, unless it holds Python
    files, and so does any other folder with the file of a model and no Python files.

    Args:
        names: of all files, relative to the project's folder.
        mlflow: folders with a file MLmodel.
    """
    with_code = {folder for name in names if name.endswith(".py") for folder in _above(name)}
    tops: dict[str, None] = dict.fromkeys(mlflow)
    for name in names:
        if not tops.keys().isdisjoint(_above(name)):
            continue
        named = _outermost_named(name)
        if named and named not in with_code:
            tops[named] = None
        elif kind_of_name(name) is Kind.MODEL and not _is_data(name):
            folder = posixpath.dirname(name)
            tops[folder if folder and folder not in with_code else name] = None
    return sorted(top for top in tops if tops.keys().isdisjoint(_above(top)))


def _outermost_named(name: str) -> str:
    """Return the outermost folder around a file that is named for models; "" if there is none."""
    return next(
        (folder for folder in _above(name) if posixpath.basename(folder).lower() in MODEL_FOLDERS), ""
    )


def _above(name: str) -> list[str]:
    """Return the folders around a file or folder, the outermost first."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _is_data(name: str) -> bool:
    folders = posixpath.dirname(name).lower().split("/")
    return bool(_MAY_BE_DATA.fullmatch(name)) or not _DATA.isdisjoint(folders)
