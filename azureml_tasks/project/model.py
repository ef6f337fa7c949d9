"""A project as it stands, read and found right: what planning starts from."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from azureml_tasks.config.settings import Settings
    from azureml_tasks.context.context_file import ContextFile
    from azureml_tasks.image_reference import Reference
    from azureml_tasks.requirements.install_step import PythonStep

__all__ = ["BuildSecret", "Facts", "NoRevision", "Project", "Revision", "SmokeTestPlan", "SmokeTestRequest"]


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
        smoke_test: what the smoke test sends and mounts.
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
    smoke_test: SmokeTestPlan
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


class SmokeTestPlan(NamedTuple):
    """The smoke test, with its files read.

    Args:
        requests: one for each request, in order.
        model: absolute path of what is mounted; "" for nothing.
        env: variables of the container.
        memory: limit as Docker writes it; "" for none.
        start_timeout: seconds.
        repeat: how often each request is sent.
        default_script: whether our default entry script serves, since the image has none.
        sha256: over all of this, in hexadecimal: a pass holds for one smoke test alone.
    """

    requests: tuple[SmokeTestRequest, ...] = ()
    model: str = ""
    env: Mapping[str, str] = MappingProxyType({})
    memory: str = ""
    start_timeout: float = 310.0
    repeat: int = 10
    default_script: bool = False
    sha256: str = ""


class SmokeTestRequest(NamedTuple):
    """One request of the smoke test: what is sent, and what must come back (`expect` may be UNSET)."""

    name: str
    path: str
    body: bytes
    status: int
    expect: Any
    tolerance: float
    timeout: float


class BuildSecret(NamedTuple):
    """A secret of the Python step, by where it is: its value is read when it is used, and kept nowhere.

    Args:
        id: its key in the table, `pip-conf` or `netrc`.
        variable: what names the mounted file to pip.
        env: the variable of this process that holds it; "" where a file does.
        file: absolute path; "" where a variable holds it.
        line: of its key in pyproject.toml.
    """

    id: str
    variable: str
    env: str = ""
    file: str = ""
    line: int = 0


class Revision(NamedTuple):
    """The commit that a folder stands at.

    Args:
        sha: 40 or 64 hexadecimal digits.
        dirty: whether anything in the work tree is not committed.
        branch: "" where HEAD is detached.
        time: of the commit, seconds since 1970 (UTC).
        remote: URL of `origin` without user, password and query; "" where there is none.
    """

    sha: str
    dirty: bool
    branch: str
    time: int
    remote: str


class NoRevision(NamedTuple):
    """There is no commit to speak of.

    Args:
        why: follows "because".
        unexpected: git could not answer, though there seems to be a repository.
    """

    why: str
    unexpected: bool = False
