"""What a script becomes: its folder, and the modules of the project that it imports."""

from pathlib import Path

import pytest

from azureml_tasks.migration.code.script_source import read_script
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out

_RUN = "def init(): ...\ndef run(data): ...\n"


def _read(folder: Path, files: dict[str, str], script: str = "src/score.py") -> Reading:
    folder = lay_out({script: _RUN, **files}, folder.resolve())
    source = Source(folder / script, script, Kind.SCRIPT, (folder / script).read_text())
    return read_script(source, Surroundings(folder, folder))


def _table(reading: Reading) -> dict[str, object]:
    return {".".join(map(str, each.place)): each.value for each in reading.values}


@pytest.mark.parametrize(
    ("script", "table"),
    [
        ("src/score.py", {"code": "src"}),
        ("score.py", {"code": "."}),
        ("onlinescoring/score_wines.py", {"code": "onlinescoring", "entry-script": "score_wines.py"}),
        ("main.py", {"code": ".", "entry-script": "main.py"}),
    ],
)
def test_the_folder_of_a_script_is_the_code(tmp_path: Path, script: str, table: dict[str, str]) -> None:
    """The name score.py is the default of the table."""
    reading = _read(tmp_path, {}, script)
    assert _table(reading) == table
    assert [(line.line, line.end, line.outcome) for line in reading.lines] == [(1, 2, Outcome.KEY)]
    assert reading.is_whole


@pytest.mark.parametrize(
    ("imports", "files", "table"),
    [
        ("import os\nimport numpy\nimport helper\n", ["src/helper.py"], {"code": "src"}),
        ("from score import run\n", [], {"code": "src"}),
        (
            "import features\n",
            ["features/__init__.py"],
            {"code": ["src", "features"], "entry-script": "src/score.py"},
        ),
        (
            "from features.text import clean\nimport helper\n",
            ["features/text.py", "src/helper.py"],
            {"code": ["src", "features"], "entry-script": "src/score.py", "python-path": ["src"]},
        ),
        ("import features\n", ["features.py"], {"code": ".", "entry-script": "src/score.py"}),
        (
            "import features\nimport helper\n",
            ["features.py", "src/helper.py"],
            {"code": ".", "entry-script": "src/score.py", "python-path": ["src"]},
        ),
        ("from src import helper\n", ["src/helper.py"], {"code": ".", "entry-script": "src/score.py"}),
        ("import model\n", ["model/wines.pkl"], {"code": "src"}),
        ("import json\n", ["json/__init__.py"], {"code": "src"}),
    ],
)  # fmt: skip
def test_what_it_imports_is_code_too(
    tmp_path: Path, imports: str, files: list[str], table: dict[str, object]
) -> None:
    """A package of the project beside the script's folder, or a module beside pyproject.toml."""
    reading = _read(tmp_path, {"src/score.py": imports + _RUN, **dict.fromkeys(files, "")})
    assert _table(reading) == table


def test_a_package_in_src_is_found_from_another_folder(tmp_path: Path) -> None:
    """As in a project with the src layout, of which the script is no part."""
    files = {"deploy/score.py": "import wines\n" + _RUN, "src/wines/__init__.py": ""}
    reading = _read(tmp_path, files, "deploy/score.py")
    assert _table(reading) == {
        "code": ["deploy", "src"],
        "entry-script": "deploy/score.py",
        "python-path": ["src"],
    }
    assert reading.lines[0].why.endswith(": it imports src/wines")


def test_the_script_of_a_batch_deployment_is_named_as_one(tmp_path: Path) -> None:
    """It answers no request."""
    reading = _read(tmp_path, {"src/score.py": "def init(): ...\ndef run(mini_batch): ...\n"})
    assert "smoke-test.mini-batch" in reading.lines[0].why


def test_a_script_that_is_not_read_by_this_python_is_taken_as_it_is(tmp_path: Path) -> None:
    """What it imports is not known then; `image.check` says what is wrong with it."""
    reading = _read(tmp_path, {"src/score.py": 'print "hello"\n' + _RUN})
    assert _table(reading) == {"code": "src"}
