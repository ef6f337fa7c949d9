"""The whole error message for every mistake in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from azureml_tasks.cli.console import Console
from azureml_tasks.commands.image_runs import for_all, planned_runs
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.errors import SettingsError
from azureml_tasks.project.load import load
from tests.cases import BAD, lay_out, sections

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("case", BAD, ids=[case.stem for case in BAD])
def test_every_mistake_is_reported_with_its_place_and_its_fix(case: Path, tmp_path: Path) -> None:
    """One error reports all mistakes of a case, in the order of the file, each with its line and the next step."""
    files = sections(case)
    expected = files.pop("errors")

    run = RunContext(folder=lay_out(files, tmp_path), reporter=Console())

    with pytest.raises(SettingsError) as caught:
        for_all(planned_runs(run), lambda each: load(tmp_path, image=each.image))

    assert expected == str(caught.value).replace(str(tmp_path), "FOLDER") + "\n"
    assert caught.value.exit_code == 2
