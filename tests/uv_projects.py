"""A project with a uv.lock, and uv on PATH."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from uv import find_uv_bin

__all__ = ["FILES", "LOCK", "PYPROJECT", "put_uv_on_path"]

PYPROJECT = """\
[project]
name = "scoring"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["six>=1.16"]

[project.optional-dependencies]
text = ["regex; python_version < '3.13'"]

[dependency-groups]
serve = ["uvloop"]
dev = ["pytest"]

[tool.azureml-image]
base = "bases/serving:4"
requirements = "uv.lock"
"""
_FILES = "https://files.pythonhosted.org/packages"


def _package(name: str, version: str, digit: str, registry: str = "https://pypi.org/simple") -> str:
    stem = f"{_FILES}/{name}-{version}"
    return f"""\
[[package]]
name = "{name}"
version = "{version}"
source = {{ registry = "{registry}" }}
sdist = {{ url = "{stem}.tar.gz", hash = "sha256:{digit * 63}0", size = 1 }}
wheels = [
    {{ url = "{stem}-py3-none-any.whl", hash = "sha256:{digit * 63}1", size = 1 }},
]

"""


LOCK = (
    'version = 1\nrevision = 3\nrequires-python = ">=3.10"\n\n'
    + _package("pytest", "8.0", "1")
    + _package("regex", "2024.1", "2")
    + """\
[[package]]
name = "scoring"
version = "1.0"
source = { virtual = "." }
dependencies = [
    { name = "six" },
]

[package.optional-dependencies]
text = [
    { name = "regex", marker = "python_full_version < '3.13'" },
]

[package.dev-dependencies]
dev = [
    { name = "pytest" },
]
serve = [
    { name = "uvloop" },
]

[package.metadata]
requires-dist = [
    { name = "regex", marker = "python_full_version < '3.13' and extra == 'text'" },
    { name = "six", specifier = ">=1.16" },
]
provides-extras = ["text"]

[package.metadata.requires-dev]
dev = [{ name = "pytest" }]
serve = [{ name = "uvloop" }]

"""
    + _package("six", "1.17.0", "3")
    + _package("uvloop", "0.22", "4")
)
"""What uv 0.9 writes for `PYPROJECT`, with made-up hashes."""
FILES = {
    "pyproject.toml": PYPROJECT,
    "uv.lock": LOCK,
    "code/score.py": "def init(): ...\ndef run(data): ...\n",
}


def put_uv_on_path(patch: pytest.MonkeyPatch) -> None:
    """Let programs find the uv of this environment, as its user does after activating it."""
    patch.setenv(
        "PATH", os.pathsep.join([str(Path(find_uv_bin()).parent), os.environ.get("PATH", os.defpath)])
    )
