"""The folder `code` beside pyproject.toml, which no source names and the table copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.migration.code_beside import with_code_beside
from azureml_tasks.migration.sources import open_source, read_sources
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out

if TYPE_CHECKING:
    from pathlib import Path

BASE = "FROM mcr.microsoft.com/azureml/minimal-py312-inference:latest\n"
SCRIPT = "def init(): ...\ndef run(data): return data\n"
ADDED = "the folder is here, and the table cannot leave it out"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"code/score.py": SCRIPT}, {"code": "code"}),
        ({"code/main.py": SCRIPT}, {"code": "code"}),
        ({"code/a/b.py": SCRIPT}, {"code": "code"}),
        ({"code/notes.txt": ""}, {"code": "code"}),
        ({"code": ""}, {}),
        ({"src/score.py": SCRIPT}, {}),
    ],
)
def test_it_becomes_the_code(files: dict[str, str], expected: dict[str, str], tmp_path: Path) -> None:
    """The line of the base says so, since the image of the source has no such code."""
    folder = lay_out({"Dockerfile": BASE, **files}, tmp_path).resolve()
    surroundings = Surroundings(folder=folder, root=folder)
    readings = read_sources([open_source("Dockerfile", surroundings)], surroundings)

    (reading,) = with_code_beside(readings, surroundings)

    values = {str(value.place[0]): value.value for value in reading.values}
    assert values == {"base": "minimal-py312-inference", **expected}
    assert (not reading.is_whole, reading.lines[0].why.endswith(ADDED)) == (bool(expected), bool(expected))


def test_code_that_a_source_names_stays_the_only_one(tmp_path: Path) -> None:
    """Nothing is added."""
    files = {
        "Dockerfile": f"{BASE}COPY src /var/azureml-app\n",
        "src/score.py": SCRIPT,
        "code/score.py": SCRIPT,
    }
    folder = lay_out(files, tmp_path).resolve()
    surroundings = Surroundings(folder=folder, root=folder)
    readings = read_sources([open_source("Dockerfile", surroundings)], surroundings)

    assert with_code_beside(readings, surroundings) == readings
