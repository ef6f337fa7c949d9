"""Where the paths of a source lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.migration.surroundings import Located, Surroundings
from tests.cases import lay_out

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("path", "beside", "expected"),
    [
        ("code/score.py", "", Located("code/score.py", "file")),
        ("code/", "deployment.yml", Located("code", "folder")),
        ("../score", "azure/deployment.yml", Located("score", "")),
        ("../model", "", Located("../model", "folder")),
        ("model", "../deployment.yml", Located("../model", "folder")),
        ("../../secret", "", Located("../../secret", "outside")),
        ("leaving", "", Located("leaving", "outside")),
        ("loop", "", Located("loop", "")),
        (".", "", Located(".", "folder")),
        ("a\0b", "", Located("a\0b", "outside")),
    ],
)
def test_a_path_is_named_from_the_project(tmp_path: Path, path: str, beside: str, expected: Located) -> None:
    """A path is relative to the folder of its source, and may lead anywhere below the root."""
    root = lay_out({"team/code/score.py": "", "model/weights": "", "../secret": ""}, tmp_path / "root")
    (root / "team/leaving").symlink_to(tmp_path / "secret")
    (root / "team/loop").symlink_to("loop")
    (root / "team/azure").mkdir()

    assert expected == Surroundings(folder=root / "team", root=root).locate(path, beside)
