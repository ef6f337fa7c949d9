"""Warnings of an entry script that looks for a model where it will not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from tests.cases import lay_out

if TYPE_CHECKING:
    from pathlib import Path

TABLE = '[project]\nname = "n"\nversion = "1"\n[tool.azureml-image]\nbase = "bases/serving:1"\n'
SCRIPT = """\
import os
def init():
    global path
    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], {names})
def run(data): ...
"""
FILES = {"model/a.pkl": "a", "model/v1/b.pkl": "b"}
BAKED = 'model = "model"\n'


def warnings(folder: Path, table: str, names: str, files: dict[str, str] | None = None) -> list[str]:
    """Return the warnings of a project whose script joins *names*, a part of Python's text."""
    code = {"code/score.py": SCRIPT.format(names=names), "pyproject.toml": TABLE + table}
    return list(
        map(
            str,
            azureml_tasks.plan(
                azureml_tasks.load(lay_out({**FILES, **code, **(files or {})}, folder))
            ).warnings,
        )
    )


def warning(path: str, where: str, fix: str) -> list[str]:
    """Return the warning for *path*."""
    return [
        f'code/score.py:4: joins "{path}" to AZUREML_MODEL_DIR, and {where} has no such file or folder there\n    {fix}'
    ]


THERE = {
    "its content": (BAKED, '"a.pkl"'),
    "a folder of its content": (BAKED, '"v1", "b.pkl"'),
    "a folder with its name": (BAKED + 'model-name = "m"\n', '"m"'),
    "a file below its name": (BAKED + 'model-name = "m"\n', '"m", "v1/b.pkl"'),
    "one file": ('model = "model/a.pkl"\n', '"a.pkl"'),
    "one file below its name": ('model = "model/a.pkl"\nmodel-name = "m"\n', '"m/a.pkl"'),
    "a mounted folder": ('smoke-test.model = "model"\n', '"model", "v1", "b.pkl"'),
    "a mounted file": ('smoke-test.model = "model/a.pkl"\n', '"a.pkl"'),
    "no model is known": ("", '"model.pkl"'),
    "the table sets the variable": (BAKED + 'smoke-test.env = { AZUREML_MODEL_DIR = "/m" }\n', '"x"'),
    "a command may make it": (BAKED + 'run = [{ command = "get $AZUREML_MODEL_DIR/x" }]\n', '"x"'),
}


@pytest.mark.parametrize(("table", "names"), THERE.values(), ids=THERE)
def test_a_name_that_will_be_there(table: str, names: str, tmp_path: Path) -> None:
    """Nothing is said of it, or if it cannot be known."""
    assert warnings(tmp_path, table, names) == []


NAME_IT = 'Write: model-name = "model"'
MISSING = {
    "the folder's name": (BAKED, '"model", "a.pkl"', "model/a.pkl", "the image", NAME_IT),
    "the folder alone": (BAKED, '"model"', "model", "the image", NAME_IT),
    "another name": (
        BAKED,
        '"outputs/v1/b.pkl"',
        "outputs/v1/b.pkl",
        "the image",
        'Write: model-name = "outputs"',
    ),
    "another file": (BAKED, '"b.pkl"', "b.pkl", "the image", 'There will be: "a.pkl", "v1".'),
    "a file without the name": (
        BAKED + 'model-name = "m"\n',
        '"a.pkl"',
        "a.pkl",
        "the image",
        'Join "m" first, or remove: model-name = "m"',
    ),
    "another file below the name": (
        BAKED + 'model-name = "m"\n',
        '"m/c"',
        "m/c",
        "the image",
        'There will be: "m/a.pkl", "m/v1".',
    ),
    "a mounted folder without its name": (
        'smoke-test.model = "model"\n',
        '"a.pkl"',
        "a.pkl",
        "the mounted model",
        'Write: smoke-test.model = "model/a.pkl"\n    or join "model" first, as for a registered folder',
    ),
    "a folder in it without its name": (
        'smoke-test.model = "model"\n',
        '"v1/b.pkl"',
        "v1/b.pkl",
        "the mounted model",
        'Join "model" first: Azure ML mounts a registered folder under its own name.',
    ),
    "another mounted file": (
        'smoke-test.model = "model/a.pkl"\n',
        '"b.pkl"',
        "b.pkl",
        "the mounted model",
        "Azure ML mounts model/a.pkl as AZUREML_MODEL_DIR/a.pkl.",
    ),
}


@pytest.mark.parametrize(("table", "names", "path", "where", "fix"), MISSING.values(), ids=MISSING)
def test_a_name_that_will_not_be_there(
    table: str, names: str, path: str, where: str, fix: str, tmp_path: Path
) -> None:
    """The warning has the line, the path, and what to write."""
    assert warnings(tmp_path, table, names) == warning(path, where, fix)


def test_a_file_that_is_left_out_will_not_be_there(tmp_path: Path) -> None:
    """The ignore rules count, and so do links into other folders of the model."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "latest").symlink_to("v1")
    excluded = BAKED + 'exclude = ["model/a.pkl"]\n'

    assert warnings(tmp_path, excluded, '"latest/b.pkl"') == []
    assert warnings(tmp_path, excluded, '"a.pkl"') == warning(
        "a.pkl", "the image", 'There will be: "latest", "v1".'
    )


def test_what_is_in_a_missing_folder_is_not_named_again(tmp_path: Path) -> None:
    """One warning is enough for a folder and the files in it; of many names the first five are named."""
    inside = '"none"); one = os.path.join(path, "x"); two = os.path.join(path, "y"'
    many = "), os.path.join(os.environ['AZUREML_MODEL_DIR'], ".join(f'"{number}.bin"' for number in range(9))

    assert len(warnings(tmp_path, BAKED, inside)) == 1
    assert len(warnings(tmp_path, BAKED, many)) == 5


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    """Nothing is said of files outside, not even that they exist."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "out").symlink_to("/etc")
    table = 'smoke-test.model = "model"\n'

    for name in ("passwd", "no-such-file"):
        assert warnings(tmp_path, table, f'"model/out/{name}"') == warning(
            f"model/out/{name}", "the mounted model", "Azure ML mounts model as AZUREML_MODEL_DIR/model."
        )
