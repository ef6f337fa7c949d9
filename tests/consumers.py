"""Small projects that use our tasks, and Invoke run in them as a person runs it; no engine answers there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cases import lay_out
from tests.machine import invoke_cli

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "DEAD",
    "ISOLATED",
    "OF_CI",
    "OF_OUTPUT",
    "PATIENT",
    "SCORING",
    "TASKS",
    "TWO_IMAGES",
    "Ended",
    "azureml_image",
    "consumer",
    "environment",
    "invoke",
    "project",
]

DEAD = "unix:///nowhere/docker.sock"
OF_CI = ("CI", "BUILD_NUMBER", "GITHUB_", "TF_BUILD", "GITLAB_CI", "JENKINS_URL", "BITBUCKET_", "BUILDKITE")
"""How the variables begin by which a program knows that it runs in a CI system; pytest reads the first two."""
OF_OUTPUT = (
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "TTY_"),
    *("PYTHONUNBUFFERED", "PYTEST_ADDOPTS"),
)
"""How the variables begin that change what a program prints, or when; CI systems and images set some of them."""
ISOLATED = ("INVOKE_", "DOCKER_", "GIT_", "SOURCE_DATE_EPOCH", *OF_OUTPUT, *OF_CI)
"""How the variables begin that a test of a whole command or of a commit does without."""

SCORING = """\
[project]
name = "scoring"
version = "1.0"

[tool.azureml-image]
base = "minimal-py312-inference"
registry = "contoso.azurecr.io"
"""
"""The beginning of a table with several images."""
TWO_IMAGES = f"""\
{SCORING}
[tool.azureml-image.images.cpu]

[tool.azureml-image.images.gpu]
env = {{ DEVICE = "cuda" }}
"""
TASKS = """\
from invoke.collection import Collection
from azureml_tasks import image

ns = Collection(image)
"""
PATIENT = f"{TASKS}\nfrom azureml_tasks.commands import doctor\n\ndoctor.LIMIT = 60.0\n"
"""A tasks.py whose `image.doctor` waits longer than a person would: this machine does much else meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run of Invoke ended."""

    code: int
    out: str
    err: str


def project(name: str, table: str = "") -> str:
    """A pyproject.toml of a project *name*, version 1.2.3, with *table* as the rest of its table."""
    return (
        f'[project]\nname = "{name}"\nversion = "1.2.3"\n\n'
        f'[tool.azureml-image]\nbase = "minimal-py312-inference"\n{table}'
    )


def consumer(folder: Path, tasks: str = TASKS, files: Mapping[str, str] | None = None) -> Path:
    """A project `demo` with *tasks* as its tasks.py, and more *files* (name → text)."""
    return lay_out({"pyproject.toml": project("demo"), "tasks.py": tasks, **(files or {})}, folder)


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would tell a run of Invoke, docker or git anything of this machine."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ISOLATED)}
    return {**kept, "DOCKER_HOST": DEAD, "DOCKER_CONFIG": "/nowhere", **more}


def invoke(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Ended:
    """Run `invoke WORDS` in *folder*, whose own path is FOLDER in what it printed."""
    return _ended(invoke_cli.run(words, folder=folder, env=environment(**(env or {}))), folder)


def azureml_image(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Ended:
    """Run `azureml-image WORDS` in *folder*; see `invoke`."""
    return _ended(invoke_cli.run_program(words, folder=folder, env=environment(**(env or {}))), folder)


def _ended(raw: invoke_cli.Done, folder: Path) -> Ended:
    out, err = (text.decode().replace(str(folder), "FOLDER") for text in (raw.out, raw.err))
    return Ended(code=raw.code, out=out, err=err)
