"""Paths of an Azure ML YAML file: to a file or folder here, or to something in the cloud.

A path to another YAML file may begin with `file:`, and addresses have a scheme: azure-ai-ml 1.35.2,
azure/ai/ml/_schema/core/fields.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from azureml_tasks.migration.placeholders import is_placeholder
from azureml_tasks.migration.surroundings import Located

if TYPE_CHECKING:
    from azureml_tasks.config.problems import Place
    from azureml_tasks.migration.deployment.yaml_notes import YamlNotes

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|/subscriptions/")
"""A scheme of two letters or more: one letter is a drive of Windows."""
_FILE = "file:"


def is_address(text: str) -> bool:
    """Return whether *text* names something in the cloud: `azureml:model:1`, `https://…`, `runs:/…`."""
    return not text.startswith(_FILE) and _ADDRESS.match(text) is not None


def local_path(notes: YamlNotes, place: Place) -> Located:
    """Return where the path at *place* leads; its kind is "" if it names nothing on this machine."""
    text = notes.text(place).strip()
    if not text or is_placeholder(text) or is_address(text):
        return Located(name=notes.written(place).strip(), kind="")
    path = text.removeprefix(_FILE).replace("\\", "/")
    return notes.surroundings.locate(path, beside=notes.source.name)


def why_not(notes: YamlNotes, place: Place, located: Located, kind: str) -> str:
    """Return why the path at *place* is not the *kind* that is needed there."""
    text = notes.text(place).strip()
    if not text:
        return f"it names no {kind}"
    if is_placeholder(text):
        return "a placeholder"
    if is_address(text):
        return f"it is not a {kind} here: download it, and name the copy"
    if located.kind == "outside":
        above = "/".join(part for part in located.name.split("/") if part == "..")
        return f"{located.name} is outside the folders that are read: say --root {above or 'FOLDER'}"
    if not located.kind:
        return f"{located.name} does not exist"
    return f"{located.name} is a {located.kind}, not a {kind}"
