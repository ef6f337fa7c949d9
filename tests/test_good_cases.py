"""Valid tables: the whole Dockerfile, every member of the build context, every name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.config.fields import keys
from azureml_tasks.config.settings import Run, Settings
from tests.cases import GOOD, IMAGES, OUTCOMES, planned, sections
from tests.context_members import listing

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
