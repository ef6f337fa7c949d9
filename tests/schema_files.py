"""The JSON Schemas in the package, as `python3 tasks.py docs` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import azureml_tasks
from azureml_tasks.cli.json_shapes import output_schema
from azureml_tasks.config.schema import json_schema, pyproject_schema

__all__ = ["FOLDER", "schemas", "text_of", "write"]

FOLDER = Path(azureml_tasks.__file__).parent / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """Return each schema by the name of its file."""
    return {
        "azureml-image.schema.json": json_schema(),
        "output.schema.json": output_schema(),
        "pyproject.schema.json": pyproject_schema(),
    }


def text_of(schema: dict[str, Any]) -> str:
    """Return the text of a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text_of(schema), encoding="utf-8", newline="\n")
