"""Projects with more files than a script, the members of their build contexts, and why they are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.errors import SettingsError
from azureml_tasks.requirements.install_step import COLLECTING_SCRIPT, SCRIPTS, SERVER_SCRIPT
from tests.cases import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from azureml_tasks.context.context_file import ContextFile

__all__ = ["SCRIPT", "listing", "members", "project_with", "refusal"]

SCRIPT = "def init(): ...\ndef run(data): ...\n"


def listing(files: Iterable[ContextFile]) -> str:
    """Return a line for each member: type, name, size or target; below it the lines of a generated file."""
    return "".join(f"{line}\n" for file in files for line in _lines(file))


def _lines(file: ContextFile) -> list[str]:
    if file.name.endswith("/"):
        return [f"folder {file.name}"]
    if file.link:
        return [f"link {file.name} -> {file.link}"]
    kind = "program" if file.executable else "file"
    if file.name.removeprefix("python/") in (*SCRIPTS, SERVER_SCRIPT, COLLECTING_SCRIPT):
        return [f"{kind} {file.name}"]  # its size is that of the package's script
    return [f"{kind} {file.name} {file.size}", *(f"    {line}" for line in file.data.decode().splitlines())]


def project_with(
    folder: Path,
    *,
    table: str = "",
    files: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
) -> Path:
    """Return a project with more lines in its table, more files, and links (name → target)."""
    text = f'[project]\nname = "x"\nversion = "1"\n[tool.azureml-image]\nbase = "bases/serving"\n{table}'
    lay_out({"pyproject.toml": text, "code/score.py": SCRIPT, **(files or {})}, folder)
    for name, target in (links or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    return folder


def members(folder: Path) -> list[str]:
    """Return the members of the context, one line each, without those that all projects here have."""
    lines = listing(azureml_tasks.plan(azureml_tasks.load(folder)).files).splitlines()
    return [line for line in lines if line not in {"folder code/", f"file code/score.py {len(SCRIPT)}"}]


def refusal(folder: Path) -> str:
    """Return the error of a project that is refused, without the count at its end."""
    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(folder)
    error = str(caught.value)
    return error.rpartition("\n\n")[0].replace(str(folder), "FOLDER")
