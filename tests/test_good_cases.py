"""Valid tables: the whole Dockerfile, every member of the build context, every name."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.check import check_images
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.config.fields import keys
from azureml_tasks.config.settings import Run, Settings
from tests.cases import GOOD, IMAGES, OUTCOMES, planned, sections
from tests.consumers import DEAD
from tests.context_members import listing
from tests.json_reports import report_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_each_table_gives_its_expected_image(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Dockerfile, the build context, the names and the warnings are those of the case, to the byte."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    expected = {name: text for name, text in sections(case).items() if name in OUTCOMES}

    plan = planned(case, tmp_path)

    actual = {
        "Dockerfile": azureml_tasks.render(plan),
        "context": listing(plan.files),
        "names": "".join(f"{name}\n" for name in plan.names),
        "warnings": "".join(f"{warning}\n" for warning in plan.warnings),
    }
    assert expected == {name: text for name, text in actual.items() if text}


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_check_takes_each_table(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`image.check` reports that image, and misses only the engine, or the secrets that a run names."""
    monkeypatch.setenv("DOCKER_HOST", DEAD)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    plan = planned(case, tmp_path)

    shutil.rmtree(
        tmp_path / ".azureml-image", ignore_errors=True
    )  # One case has files in the place of records.

    ((run, report),) = check_images(RunContext(folder=tmp_path, reporter=Console()))

    value = report_of(run, report)
    assert (list(plan.names), True) == (value["names"], bool(value["steps"]))
    problems = [problem["what"] for problem in value["errors"]]
    missing = ("Docker's engine does not answer", "and the run does not say where")
    assert problems
    assert [] == [text for text in problems if not any(words in text for words in missing)]


def test_the_cases_cover_every_key_of_the_table() -> None:
    """Every key of the table is in a case."""
    texts = [
        sections(case)["pyproject.toml"].partition("[tool.azureml-image]")[2] for case in (*GOOD, *IMAGES)
    ]

    without = [
        key
        for key in (*keys(Settings), *keys(Run))
        if not any(f"\n{key} =" in text or f".{key}]" in text or f".{key}." in text for text in texts)
    ]

    assert without == []
