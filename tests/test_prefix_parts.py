"""The Dockerfile of each part of an image, on the base or on a prefix."""

from __future__ import annotations

from pathlib import Path

from azureml_tasks.incremental.cached_layers import stage_context
from tests.cases import lay_out
from tests.test_making import FILES
from tests.test_prefixes import ON, gathered

TABLE = """\
[project]
name = "scoring"

[tool.azureml-image]
base = "bases/serving:4"
tags = ["one"]
model = "model"
run = [{ after = "apt", command = "make", user = "runtime" }]
env = { A = "1", B = "2" }
"""
BELOW = """\
# The base image. A new one rebuilds everything below.
FROM registry.example.com/on:1

# Installing needs root. The last step returns to the runtime user.
USER root

# An extra shell command of the project, after apt.
USER dockeruser
RUN ["/bin/sh", "-c", "make"]
USER root

# The model is large and changes less often than the code, so it comes first.
COPY model/ /var/azureml-app/azureml-models/
"""
HEAD = """\
# Cached layers of an earlier build. Their user is root.
FROM registry.example.com/on:1

"""
CODE = """\
# The code changes most often, so nothing slow comes after it.
COPY code/ /var/azureml-app/

"""
ENV = """\
# Variables are quick to set, so they come after the files that they refer to.
ENV \\
    AZUREML_ENTRY_SCRIPT="score.py" \\
    AZUREML_MODEL_DIR="/var/azureml-app/azureml-models" \\
    A="1" \\
    B="2"

"""
RUN = """\
# An extra shell command of the project, after the code.
RUN ["/bin/sh", "-c", "test"]

"""
LABELS = """\
# Labels change with every commit, so they come last.
ARG CONTEXT_SHA256=""
LABEL \\
    "org.opencontainers.image.title"="scoring" \\
    "org.opencontainers.image.base.name"="bases/serving:4" \\
    "azureml-tasks.context-sha256"="$CONTEXT_SHA256"

"""
USER = """\
# The server runs as this user, which can read the copied files. Root owns them.
USER dockeruser

"""


def written(folder: Path, stages: tuple[str, ...], more: str = "") -> str:
    """The Dockerfile of *stages*."""
    table = TABLE.replace('user = "runtime" }', f'user = "runtime" }}{more}')
    lay_out({**FILES, "pyproject.toml": table}, folder)
    return stage_context(*gathered(folder), ON, stages).dockerfile


def test_below_the_code(tmp_path: Path) -> None:
    """What stands on the base becomes root, and is left so: what comes on top needs that."""
    assert BELOW == written(tmp_path, ("system", "python", "model"))


def test_above_it(tmp_path: Path) -> None:
    """What stands on a prefix sets variables and user before it copies, as the code changes more often than these."""
    assert (HEAD + ENV + USER + CODE + LABELS).rstrip("\n") + "\n" == written(tmp_path, ("code", "labels"))


def test_above_it_with_a_command(tmp_path: Path) -> None:
    """Where a command of the project's own comes after the code, everything stands in the order of one piece."""
    more = ', { after = "code", command = "test" }'

    expected = (HEAD + CODE + ENV + RUN + LABELS + USER).rstrip("\n") + "\n"
    assert expected == written(tmp_path, ("code", "labels"), more)


def test_the_hash_may_stand_in_the_text(tmp_path: Path) -> None:
    """Where a build is told no arguments, the context's hash is in its label as it is."""
    lay_out({**FILES, "pyproject.toml": TABLE}, tmp_path)
    plan, context = gathered(tmp_path)

    found = stage_context(plan, context, ON, ("code", "labels"), literal=True).dockerfile

    hashed = LABELS.replace('ARG CONTEXT_SHA256=""\n', "").replace("$CONTEXT_SHA256", context.sha256)
    assert (HEAD + ENV + USER + CODE + hashed).rstrip("\n") + "\n" == found
