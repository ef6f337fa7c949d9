"""The first request of the smoke test: one that is there, or one that is made."""

from pathlib import Path

import pytest

from azureml_tasks.migration.search.first_request import FirstRequest, entry_script, first_request
from azureml_tasks.migration.surroundings import Surroundings
from tests.cases import lay_out

_RUN = "def init(): ...\ndef run(data): ...\n"


def _first(folder: Path, files: dict[str, str]) -> FirstRequest | None:
    folder = lay_out({"src/score.py": _RUN, **files}, folder.resolve())
    return first_request("src/score.py", Surroundings(folder, folder))


@pytest.mark.parametrize(
    ("files", "file"),
    [
        (["sample-request.json"], "sample-request.json"),
        (["src/input.json", "sample-request.json"], "src/input.json"),
        (["src/request.json", "src/sample_request.json"], "src/request.json"),
        (["src/settings.json", "other/deep/sample-request.json", "model/input.json"], ""),
    ],
)
def test_a_file_near_the_script_is_taken(tmp_path: Path, files: list[str], file: str) -> None:
    """If its name says that it is a request."""
    first = _first(tmp_path, {**dict.fromkeys(files, "{}"), "model/model.pkl": ""})
    assert first is not None
    assert (first.file, bool(first.text)) == (file, not file)
    assert first.is_example is not bool(file)


def test_a_script_that_answers_no_request_gets_none(tmp_path: Path) -> None:
    """Not even one that is near."""
    files = {"src/score.py": "def init(): ...\ndef run(mini_batch): ...\n", "sample-request.json": "{}"}
    assert _first(tmp_path, files) is None


def test_a_script_outside_of_the_root_gets_none(tmp_path: Path) -> None:
    """It is not read."""
    root = lay_out({"a/x": "", "b/score.py": _RUN}, tmp_path.resolve())
    assert first_request("../b/score.py", Surroundings(root / "a", root / "a")) is None


@pytest.mark.parametrize(
    ("table", "script"),
    [
        ({"code": "src"}, "src/score.py"),
        ({"code": ".", "entry-script": "a/b.py"}, "a/b.py"),
        ({"code": ["lib", "../common/src"], "entry-script": "src/b.py"}, "../common/src/b.py"),
        ({"code": ["lib"], "entry-script": "src/b.py"}, ""),
        ({}, ""),
    ],
)
def test_the_table_tells_where_the_script_is(table: dict[str, object], script: str) -> None:
    """A single folder is copied itself, and several keep their names."""
    assert entry_script(table) == script
