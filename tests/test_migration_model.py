"""What a model becomes, and a sample request."""

from pathlib import Path

import pytest

from azureml_tasks.migration.code.model_source import read_model
from azureml_tasks.migration.code.request_source import read_request
from azureml_tasks.migration.reading import Kind, Outcome, Reading, Source
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out

_SCRIPT = 'import os\ndir = os.environ["AZUREML_MODEL_DIR"]\ndef run(data): ...\n'


def _read(folder: Path, name: str, files: dict[str, str]) -> Reading:
    folder = lay_out(files, folder.resolve())
    return read_model(Source((folder / name).resolve(), name, Kind.MODEL), Surroundings(folder, folder))


def _table(reading: Reading) -> dict[str, object]:
    return {".".join(map(str, each.place)): each.value for each in reading.values}


def _script(path: str) -> str:
    return f"{_SCRIPT}def init(): open(os.path.join(dir, {path}))\n"


@pytest.mark.parametrize(
    ("script", "table"),
    [
        (_script('"wines", "model.pkl"'), {"model": "models/wines", "model-name": "wines"}),
        (_script('"model.pkl"'), {"model": "models/wines"}),
        (_script('"other.pkl"'), {"model": "models/wines", "model-name": "wines"}),
        ("", {"model": "models/wines", "model-name": "wines"}),
    ],
)
def test_a_folder_has_its_name_if_the_script_looks_for_it(
    tmp_path: Path, script: str, table: dict[str, str]
) -> None:
    """Azure ML mounts a registered folder under its name, and a script that does not tell is written for that."""
    reading = _read(tmp_path, "models/wines", {"models/wines/model.pkl": "x", "src/score.py": script})
    assert _table(reading) == table
    assert reading.is_whole


def test_a_file_has_no_name(tmp_path: Path) -> None:
    """It lies in AZUREML_MODEL_DIR itself, both in the image and mounted."""
    assert _table(_read(tmp_path, "wines.pkl", {"wines.pkl": "x"})) == {"model": "wines.pkl"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("src", "it holds the script src/score.py, so it is no model"),
        (".", "it is the project, not a model"),
        ("nothing", "it is neither a file nor a folder"),
        ("../other", "it is outside of the root"),
    ],
)
def test_what_is_no_model_is_left_over(tmp_path: Path, name: str, why: str) -> None:
    """With the reason."""
    reading = _read(tmp_path, name, {"src/score.py": "def init(): ...\ndef run(data): ...\n"})
    assert [(line.outcome, line.why) for line in reading.lines] == [(Outcome.LEFT_OVER, why)]
    assert not reading.values


def test_a_request_is_the_first_of_the_smoke_test(tmp_path: Path) -> None:
    """All of its lines have one fate."""
    source = Source(tmp_path / "a.json", "a.json", Kind.REQUEST, '{\n"data": [1]\n}\n')
    reading = read_request(source, Surroundings(tmp_path, tmp_path))
    assert _table(reading) == {"smoke-test.request": "a.json"}
    assert [(line.line, line.end, line.outcome) for line in reading.lines] == [(1, 3, Outcome.KEY)]
