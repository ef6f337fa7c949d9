"""The tags of cached layers, and the build contexts of some stages of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.incremental.cached_layers import (
    cached_layers_of,
    current_tags,
    is_grown_tag,
    is_layers_tag,
    kept_name,
    layers_repository,
    stage_context,
)
from azureml_tasks.incremental.fingerprint import fingerprint
from azureml_tasks.planning.plan import Plan
from tests.cases import lay_out
from tests.changed_projects import BASE, CHANGES, FILES, parts_of
from tests.projects import read, replaced

ON = "registry.example.com/on:1"


def tags(folder: Path, base: str = BASE) -> list[str]:
    """Return the tags of the project's cached layers, the shortest first."""
    plan = read(folder)
    return [layers.tag for layers in cached_layers_of(plan, parts_of(folder, base))]


def plan_and_context(folder: Path) -> tuple[Plan, BuildContext]:
    """Return the project's plan and build context."""
    plan = read(folder)
    return plan, new_context(plan.files, "whole")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with all that an image can have."""
    return lay_out(FILES, tmp_path)


def test_cached_layers_hold_those_before_them(folder: Path) -> None:
    """They end with system packages, Python packages or the model; a tag is a fingerprint of all their inputs."""
    plan, _ = plan_and_context(folder)
    parts = parts_of(folder)

    layers = cached_layers_of(plan, parts)

    stages = [("system",), ("system", "python"), ("system", "python", "model")]
    inputs = {name: parts[name] for name in ("version", "platform", "base")}
    expected = [fingerprint({**inputs, **{name: parts[name] for name in names}})[:32] for names in stages]
    assert (stages, expected) == ([each.stages for each in layers], [each.tag for each in layers])
    assert (3, True) == (len(set(expected)), all(map(is_layers_tag, expected)))


UNCHANGED = {"platform": 0, "system": 0, "python": 1, "model": 2, "code": 3, "labels": 3}


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "no model"])
def test_a_change_keeps_the_tags_of_earlier_stages(change: str, folder: Path) -> None:
    """Layers before the changed stage keep their tags; those from it on get others."""
    before = tags(folder)
    (changed, *_), edit = CHANGES[change]
    edit(folder)

    after = tags(folder)

    assert [name == other for name, other in zip(before, after, strict=True)] == [
        at < UNCHANGED[changed] for at in range(3)
    ]


def test_another_base_changes_every_tag(folder: Path) -> None:
    """The base counts by its ID, not by its name."""
    assert set(tags(folder)).isdisjoint(tags(folder, "sha256:" + "2" * 64))


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        (['model = "model"\n'], [("system",), ("system", "python")]),
        (['apt = ["curl"]\n'], [("system", "python"), ("system", "python", "model")]),
        (
            ['pip = ["numpy==2.0"]\n', 'requirements = "requirements.txt"\n'],
            [("system",), ("system", "python", "model")],
        ),
        (
            [
                'apt = ["curl"]\n',
                'pip = ["numpy==2.0"]\n',
                'requirements = "requirements.txt"\n',
                'model = "model"\n',
            ],
            [],
        ),
    ],
    ids=["no model", "no system packages", "no Python packages", "nothing of all that"],
)
def test_an_empty_stage_ends_no_cached_layers(
    without: list[str], expected: list[tuple[str, ...]], folder: Path
) -> None:
    """Cached layers always add something to those before them."""
    for line in without:
        replaced(folder / "pyproject.toml", line, "")
    plan, _ = plan_and_context(folder)

    assert expected == [layers.stages for layers in cached_layers_of(plan, parts_of(folder))]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (("system",), []),
        (("python",), ["python/", "python/conflicts.py", "python/download.py", "python/environment.py",
                       "python/install.py", "python/project/", "python/project/requirements.txt",
                       "python/requirements.txt"]),
        (("system", "python", "model"), ["model/", "model/weights.bin", "python/", "python/conflicts.py",
                                         "python/download.py", "python/environment.py",
                                         "python/install.py", "python/project/",
                                         "python/project/requirements.txt", "python/requirements.txt"]),
        (("code", "labels"), ["code/", "code/score.py"]),
    ],
)  # fmt: skip
def test_a_stage_context_has_the_files_of_its_stages(
    stages: tuple[str, ...], expected: list[str], folder: Path
) -> None:
    """It has only what its Dockerfile copies; its hash is that of the whole context."""
    plan, context = plan_and_context(folder)

    part = stage_context(plan, context, ON, stages)

    assert (expected, context.sha256) == ([file.name for file in part.files], part.sha256)


def test_cached_layers_have_a_repository_of_their_own(folder: Path) -> None:
    """On an engine its host never resolves, and each project has its own tag in it, also for the same layers."""
    plan, _ = plan_and_context(folder)
    first, other = plan._replace(project_key="1"), plan._replace(project_key="2")
    tag = tags(folder)[-1]

    names = [kept_name(first, tag), kept_name(first, f"{tag}-grown"), kept_name(other, tag)]

    repository, kept = names[0].rsplit(":", 1)
    assert ("scoring/layers", "azureml-tasks.invalid/scoring/layers") == (layers_repository(plan), repository)
    assert ([f"{repository}:{kept}", f"{repository}:{kept}-grown"], 3) == (names[:2], len(set(names)))
    assert is_layers_tag(kept)
    assert kept != tag


def test_runs_of_another_scope_have_other_tags(folder: Path) -> None:
    """What a pull request shares by a registry, main does not look for."""
    plan, parts = read(folder), parts_of(folder)

    usual, main, pull_request = (
        [layers.tag for layers in cached_layers_of(plan._replace(cache_scope=scope), parts)]
        for scope in ("", "main", "pull-request")
    )

    assert 9 == len({*usual, *main, *pull_request})


def test_a_tag_in_a_registry_has_32_hexadecimal_digits() -> None:
    """Other tags of the repository are not ours."""
    texts = ("0" * 32, "f" * 32, "0" * 31, "0" * 33, "g" * 32, "F" * 32, "latest")

    assert [True, True, False, False, False, False, False] == [is_layers_tag(text) for text in texts]


def test_grown_layers_are_used_only_if_there_are_no_others(folder: Path) -> None:
    """Layers to which packages were added are marked in their tag, and layers in one piece take their place."""
    layers = cached_layers_of(read(folder), parts_of(folder))
    system, python, model = layers
    stored = {system.tag, python.grown_tag, model.tag, model.grown_tag, "0" * 32}

    assert {system.tag, python.grown_tag, model.tag} == current_tags(layers, stored)
    assert (f"{python.tag}-grown", True, False) == (
        python.grown_tag,
        is_grown_tag(python.grown_tag),
        is_grown_tag(python.tag),
    )


# The Dockerfile of some stages

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
COPY code/ ${AML_APP_ROOT:-/var/azureml-app}/

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


def dockerfile(folder: Path, stages: tuple[str, ...], more: str = "") -> str:
    """Return the Dockerfile of *stages*."""
    table = TABLE.replace('user = "runtime" }', f'user = "runtime" }}{more}')
    lay_out({**FILES, "pyproject.toml": table}, folder)
    return stage_context(*plan_and_context(folder), ON, stages).dockerfile


def test_cached_layers_leave_root_as_the_user(tmp_path: Path) -> None:
    """The stages that are built on them need root."""
    assert BELOW == dockerfile(tmp_path, ("system", "python", "model"))


def test_variables_and_user_come_before_the_code(tmp_path: Path) -> None:
    """On cached layers they are set before the code is copied, since the code changes more often."""
    assert (HEAD + ENV + USER + CODE + LABELS).rstrip("\n") + "\n" == dockerfile(tmp_path, ("code", "labels"))


def test_with_a_command_after_the_code_the_order_stays(tmp_path: Path) -> None:
    """The command may need variables and the user as they are in the whole Dockerfile."""
    more = ', { after = "code", command = "test" }'

    expected = (HEAD + CODE + ENV + RUN + LABELS + USER).rstrip("\n") + "\n"
    assert expected == dockerfile(tmp_path, ("code", "labels"), more)


def test_the_hash_can_be_in_the_dockerfile(tmp_path: Path) -> None:
    """Without a build argument the label has the hash of the context itself."""
    lay_out({**FILES, "pyproject.toml": TABLE}, tmp_path)
    plan, context = plan_and_context(tmp_path)

    text = stage_context(plan, context, ON, ("code", "labels"), literal=True).dockerfile

    hashed = LABELS.replace('ARG CONTEXT_SHA256=""\n', "").replace("$CONTEXT_SHA256", context.sha256)
    assert (HEAD + ENV + USER + CODE + hashed).rstrip("\n") + "\n" == text
