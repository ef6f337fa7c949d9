"""The agent's scan of the Dockerfile."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings

import azureml_tasks
from azureml_tasks.errors import SettingsError
from tests.cases import GOOD, sections
from tests.dockerfile_values import ONE_HOSTILE, Table
from tests.machine.acr.dockerfile_scan import build_words, scan

WORDS = build_words("-f Dockerfile -t REGISTRY/NAME:1 --platform linux/amd64 --build-arg CONTEXT_SHA256=0 .")


@pytest.mark.parametrize("case", GOOD, ids=[case.stem for case in GOOD])
def test_the_scan_accepts_the_cases(case: Path) -> None:
    """The agent's scan accepts every rendered Dockerfile, and finds each base once."""
    text = sections(case)["Dockerfile"]
    bases = [line.split()[1] for line in text.splitlines() if line.startswith("FROM ")]

    assert list(dict.fromkeys(bases)) == scan(text, WORDS)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=ONE_HOSTILE)
def test_the_scan_accepts_any_table(table: Table, code_project: Path) -> None:
    """The agent's scan accepts the Dockerfile of any valid table, and finds its base."""
    (code_project / "pyproject.toml").write_text(table.toml(), encoding="utf-8", newline="")
    try:
        loaded = azureml_tasks.load(code_project)
    except SettingsError:
        reject()

    bases = scan(azureml_tasks.render(azureml_tasks.plan(loaded)), WORDS)
    assert [str(loaded.facts.base)] == bases
