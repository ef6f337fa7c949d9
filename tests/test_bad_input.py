"""What is said of every mistake that a table can hold, word for word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.errors import SettingsError
from tests.cases import CASES, lay_out, sections

if TYPE_CHECKING:
    from pathlib import Path

BAD = sorted((CASES / "bad").glob("*.txt"))


@pytest.mark.parametrize("case", BAD, ids=[case.stem for case in BAD])
def test_each_mistake_is_named_with_its_place_and_its_fix(case: Path, tmp_path: Path) -> None:
    """Every mistake of a case is reported, in the order of the file, with its line and what to write."""
    files = sections(case)
    expected = files.pop("errors")

    with pytest.raises(SettingsError) as caught:
        azureml_tasks.load(lay_out(files, tmp_path))

    assert expected == str(caught.value).replace(str(tmp_path), "FOLDER") + "\n"
    assert caught.value.exit_code == 2
