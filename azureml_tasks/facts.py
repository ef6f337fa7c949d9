"""A project as it stands, read and found right: what planning starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from azureml_tasks.context_file import ContextFile
    from azureml_tasks.git import NoRevision, Revision
    from azureml_tasks.planning import BuildSecret, Proof
    from azureml_tasks.python_step import PythonStep
    from azureml_tasks.reference import Reference
    from azureml_tasks.settings import Settings

__all__ = ["Facts", "Project"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the project's folder says beyond the table, read and found right.

    Args:
        project: the table `[project]`; empty where there is none.
        base: the image to extend.
        repository: of the image, without registry.
        tags: rendered, at least one.
        labels: name → text.
        entry_script: relative to the code; "" where there is none.
        code: project-relative folder of the code; "" where there is none.
        python: the packages to install; None where there are none.
        files: members of the build context for code and model, sorted.
        has_model: whether a model is baked in.
        proof: what the smoke test sends and mounts.
        revision: the commit.
        today: the date (UTC).
        secrets: what is mounted for the Python step.
        warnings: what reading has found worth saying.
    """

    project: Mapping[str, Any]
    base: Reference
    repository: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    entry_script: str
    code: str
    python: PythonStep | None
    files: tuple[ContextFile, ...]
    has_model: bool
    proof: Proof
    revision: Revision | NoRevision
    today: date
    secrets: tuple[BuildSecret, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project as it stands: where it is, what its table says and what its folder holds."""

    folder: Path
    settings: Settings
    facts: Facts
