"""What teams have: each case of `tests/cases/init/` goes through `image.init`, and its table through a check."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.check import check_images
from azureml_tasks.commands.run_context import RunContext
from tests.cases import sections
from tests.consumers import DEAD
from tests.git_command import git
from tests.init_cases import INIT, KINDS, OUTCOMES, command, laid_out, project_folder
from tests.init_command import Ended, run_init
from tests.json_reports import report_of

if TYPE_CHECKING:
    from pathlib import Path

TRAPS = {
    "heredocs": r"^RUN <<END$[\s\S]*^COPY <<",
    "arg-in-from": r"^ARG TAG=[\s\S]*^FROM .*\$",
    "paths-above": r": \.\./\.\./",
    "two-copies-to-one-place": r"^COPY \S+ /var/azureml-app/?$[\s\S]*^COPY \S+ /var/azureml-app/?$",
    "env-that-extends-path": r"^ENV PATH=\S*:\$PATH$",
    "conda-env-create": r"^RUN conda env create ",
    "index-url": r"^RUN pip install --index-url https://",
    "yaml-anchors": r": &(\w+)[\s\S]*: \*\1$",
    "windows-line-ends": r"^-- Dockerfile \(windows\) --$",
    "dockerfile-that-is-not-utf-8": r"^-- Dockerfile \(latin-1\) --$[\s\S]*[\u0080-\u00ff]",
}
"""What is easily misread: name of the case → what its text has."""


@pytest.mark.parametrize("name", TRAPS)
def test_a_case_has_each_trap(name: str) -> None:
    """The text of the case has what its name says."""
    (case,) = [case for case in INIT if case.stem == f"trap-{name}"]

    assert re.search(TRAPS[name], case.read_text(encoding="utf-8"), re.MULTILINE)


def test_there_are_three_cases_of_each_kind() -> None:
    """Each kind of source is in three cases or more, and so is a folder in which nothing is named."""
    kinds = Counter(case.stem.partition("-")[0] for case in INIT)
    unnamed = [case for case in INIT if "--from" not in sections(case)["command"]]

    assert {kind: kinds[kind] for kind in (*KINDS, "folder") if kinds[kind] < 3} == {}
    assert len(unnamed) >= 3
    assert len([case for case in INIT if case.stem.startswith("trap-")]) >= 10


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide from git the configuration of this machine and every repository above the test's folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("DOCKER_HOST", DEAD)


@pytest.mark.parametrize("case", INIT, ids=[case.stem for case in INIT])
def test_init_and_check_take_each_case(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report and the table are those of the case, and `image.check` takes the table; or the error is.

    A case that is named after a kind of source has a source of that kind.
    """
    top = tmp_path.resolve() / "team"
    top.mkdir()
    folder = project_folder(case, laid_out(case, top))
    before = names_in(top)
    monkeypatch.chdir(top)

    ended = run_init(top, command(case))

    expected = {name: text for name, text in sections(case).items() if name in OUTCOMES}
    table = written_table(folder) if ended.result else ""
    actual = {"table": table, "report": ended.report, "error": ended.error}
    assert expected == {name: text.replace(str(top), "FOLDER") for name, text in actual.items() if text}
    if ended.result:
        assert_kind(case, ended)
        assert [] == mistakes(top, folder)
    else:
        assert before == names_in(top)


def names_in(folder: Path) -> list[str]:
    """Return the names of all files below *folder*, but not those of git."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(name for name in names if not name.startswith(".git/"))


def written_table(folder: Path) -> str:
    """Return the table in pyproject.toml, and all that follows it."""
    mark = "[tool.azureml-image]"
    return mark + (folder / "pyproject.toml").read_text(encoding="utf-8").partition(mark)[2]


def assert_kind(case: Path, ended: Ended) -> None:
    """Compare the kind that the name of a case begins with, with those of its sources."""
    assert ended.result
    kind = case.stem.partition("-")[0]
    assert kind not in KINDS or kind in {reading.source.kind.value for reading in ended.result.readings}


def mistakes(top: Path, folder: Path) -> list[str]:
    """Return what `image.check` refuses, other than an engine that does not answer."""
    git(top, "add", "--all")  # A table's `root` counts only in a file that git tracks.
    plan = azureml_tasks.plan(azureml_tasks.load(folder))
    ((run, report),) = check_images(RunContext(folder=folder, reporter=Console()))
    value = report_of(run, report)
    assert list(plan.names) == value["names"]
    problems = [problem["what"] for problem in value["errors"]]
    return [text for text in problems if "Docker's engine does not answer" not in text]
