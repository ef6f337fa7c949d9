"""The beginnings of an image, by names that follow from what makes them, and what builds each part."""

from __future__ import annotations

from pathlib import Path

import pytest

from azureml_tasks.context.build_context import BuildContext, new_context
from azureml_tasks.incremental.cached_layers import (
    cached_layers_of,
    is_layers_tag,
    layers_repository,
    stage_context,
)
from azureml_tasks.incremental.fingerprint import fingerprint
from azureml_tasks.planning.plan import Plan
from tests.cases import lay_out
from tests.projects import read, replaced
from tests.test_making import BASE, CHANGES, FILES, made

ON = "registry.example.com/on:1"


def tags(folder: Path, base: str = BASE) -> list[str]:
    """The tags of the prefixes of the project in *folder*, the shortest first."""
    plan = read(folder)
    return [prefix.tag for prefix in cached_layers_of(plan, made(folder, base))]


def gathered(folder: Path) -> tuple[Plan, BuildContext]:
    """The project's plan and build context."""
    plan = read(folder)
    return plan, new_context(plan.files, "whole")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with all that an image can have."""
    return lay_out(FILES, tmp_path)


def test_each_prefix_holds_all_of_the_one_before(folder: Path) -> None:
    """They end with system packages, Python packages and model, and are named by what makes all that they hold."""
    plan, _ = gathered(folder)
    parts = made(folder)

    found = cached_layers_of(plan, parts)

    stages = [("system",), ("system", "python"), ("system", "python", "model")]
    below = {name: parts[name] for name in ("version", "platform", "base")}
    expected = [fingerprint({**below, **{name: parts[name] for name in names}})[:32] for names in stages]
    assert (stages, expected) == ([prefix.stages for prefix in found], [prefix.tag for prefix in found])
    assert (3, True) == (len(set(expected)), all(map(is_layers_tag, expected)))


KEPT = {"platform": 0, "system": 0, "python": 1, "model": 2, "code": 3, "labels": 3}


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "no model"])
def test_a_change_leaves_the_prefixes_below_it(change: str, folder: Path) -> None:
    """What is built before the change has the name of before, and what comes after it another."""
    before = tags(folder)
    (changed, *_), edit = CHANGES[change]
    edit(folder)

    after = tags(folder)

    assert [name == other for name, other in zip(before, after, strict=True)] == [
        at < KEPT[changed] for at in range(3)
    ]


def test_everything_stands_on_the_base(folder: Path) -> None:
    """Another base of the same name is below everything."""
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
def test_a_stage_with_nothing_to_do_is_no_end(
    without: list[str], expected: list[tuple[str, ...]], folder: Path
) -> None:
    """A prefix ends with something that it adds to the one before."""
    for line in without:
        replaced(folder / "pyproject.toml", line, "")
    plan, _ = gathered(folder)

    assert expected == [prefix.stages for prefix in cached_layers_of(plan, made(folder))]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (("system",), []),
        (("python",), ["python/", "python/install.py", "python/project/", "python/project/requirements.txt",
                       "python/requirements.txt"]),
        (("system", "python", "model"), ["model/", "model/weights.bin", "python/", "python/install.py",
                                         "python/project/", "python/project/requirements.txt",
                                         "python/requirements.txt"]),
        (("code", "labels"), ["code/", "code/score.py"]),
    ],
)  # fmt: skip
def test_a_part_has_the_files_of_its_stages(
    stages: tuple[str, ...], expected: list[str], folder: Path
) -> None:
    """Nothing is sent that its Dockerfile does not copy; hash and known hashes are those of the whole."""
    plan, context = gathered(folder)

    found = stage_context(plan, context, ON, stages)

    assert (expected, context.sha256) == ([file.name for file in found.files], found.sha256)


def test_prefixes_have_a_repository_beside_the_image(folder: Path) -> None:
    """Its name says whose they are; a tag is told from others by its digits."""
    assert "scoring/prefix" == layers_repository(gathered(folder)[0])
    found = [
        is_layers_tag(text) for text in ("0" * 32, "f" * 32, "0" * 31, "0" * 33, "g" * 32, "F" * 32, "latest")
    ]
    assert [True, True, False, False, False, False, False] == found
