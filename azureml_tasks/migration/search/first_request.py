"""The first request of the smoke test: a JSON file that a project has already, or one that is made of its script."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from azureml_tasks.migration.code.sample_request import answers_requests, sample_request
from azureml_tasks.migration.reading import Kind
from azureml_tasks.migration.search.candidates import candidates
from azureml_tasks.migration.search.folder_files import FolderFiles, folder_files
from azureml_tasks.migration.search.model_candidates import model_candidates
from azureml_tasks.project.entry_script import LARGEST_SCRIPT
from azureml_tasks.text_file import UnreadableFile, decode, read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azureml_tasks.migration.reading import Source
    from azureml_tasks.migration.surroundings import Surroundings

_NAMES = re.compile(r"(sample[-_]?request|sample[-_]?input|request|input|sample)\b.*", re.IGNORECASE)
_DEFAULT_SCRIPT = "score.py"
_NEAR = 1
"""Folders between a script and a file that is taken without being named."""


class FirstRequest(NamedTuple):
    """A request to begin with.

    Args:
        file: name of a file that exists; "" if there is none.
        text: JSON for a new file; "" if there is one.
        why: where it is from, or that it must be replaced, to follow its name.
        is_example: whether nothing shows that the script answers it.
    """

    file: str
    text: str
    why: str
    is_example: bool


def entry_script(table: Mapping[str, Any]) -> str:
    """Return the entry script of *table*, relative to the project's folder; "" if it names no code."""
    code, script = table.get("code"), str(table.get("entry-script", _DEFAULT_SCRIPT))
    if isinstance(code, str):
        return posixpath.normpath(posixpath.join(code, script))
    name, _, inside = script.partition("/")
    folders = (each for each in code or () if posixpath.basename(each) == name)
    return next((posixpath.normpath(posixpath.join(folder, inside)) for folder in folders), "")


def first_request(script: str, surroundings: Surroundings) -> FirstRequest | None:
    """Return a first request for a script; None if it cannot be read, or answers none as JSON.

    Args:
        script: its path, relative to the project's folder.
        surroundings: of the project.
    """
    text = _text(script, surroundings)
    if text is None or not answers_requests(text):
        return None
    near = [
        each
        for each in _requests(surroundings)
        if _steps(each.name, script) <= _NEAR and _is_named(each.name)
    ]
    if near:
        name = nearest_first(near, script)[0].name
        return FirstRequest(
            file=name, text="", why="is the first request: it lies near the script", is_example=False
        )
    sample = sample_request(text)
    return FirstRequest("", sample.text, sample.why, sample.is_example) if sample else None


def nearest_first(requests: Sequence[Source], script: str) -> list[Source]:
    """Sort requests by how likely they are for a script: by their names, their folders, and the order of names."""
    return sorted(requests, key=lambda each: (not _is_named(each.name), _steps(each.name, script), each.name))


def _is_named(name: str) -> bool:
    return _NAMES.match(posixpath.basename(name)) is not None


def _is_near(request: str, script: str) -> bool:
    return "/" not in request or _steps(request, script) <= _NEAR


def _steps(request: str, script: str) -> int:
    """Return how many folders lie between a request and a script."""
    folder, home = posixpath.dirname(request), posixpath.dirname(script)
    path = posixpath.relpath(f"/{folder}", f"/{home}")
    return 0 if path == "." else path.count("/") + 1


def _requests(surroundings: Surroundings) -> list[Source]:
    """Return the sample requests of the project's folder, without those that belong to a model."""
    files = folder_files(surroundings.folder)
    names = tuple(name for name in files.names if name.endswith(".json"))
    models = model_candidates(files.names, ())
    requests = candidates(surroundings.folder, FolderFiles(names, files.kept_out)).of(Kind.REQUEST)
    return [each for each in requests if not any(each.name.startswith(f"{model}/") for model in models)]


def _text(script: str, surroundings: Surroundings) -> str | None:
    """Return the text of a script; None if it cannot be read."""
    located = surroundings.locate(script)
    if located.kind != "file":
        return None
    try:
        return decode(read_bytes(surroundings.folder / located.name, LARGEST_SCRIPT), coding_lines=True)
    except (FileNotFoundError, UnreadableFile):
        return None
