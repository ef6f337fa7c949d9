"""The pytest plugin: what a team's tests see of the image that will be deployed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import azureml_tasks
from tests.cases import lay_out
from tests.consumers import project
from tests.stub_engine import StubEngine, stub_engine

if TYPE_CHECKING:
    from pathlib import Path

WORDS = (
    *("-p", "no:azureml-image", "-p", "azureml_tasks.pytest_plugin"),
    *("-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:unraisableexception"),
    *("-W", "default", "--import-mode=importlib", "--rootdir=.", "--confcutdir=."),
)
"""The plugin as it is here, whether or not this environment has its entry point; a warning is no error.

The run around it has what else is left out: a fault handler, and what collects all garbage of this process many times.
"""
SCORE = "def init(): ...\ndef run(data): ...\n"
TESTS = """\
def test_answer(azureml_image):
    assert azureml_image.post(json=[1]).text == "POST /score [1]"

def test_of_the_team():
    pass

def test_failure(azureml_image):
    assert azureml_image.get("/missing").status_code == 200

def test_another_failure():
    assert False
"""


class Team:
    """A team's tests, beside a project in `service` whose image is built.

    Args:
        folder: of both.
        capsys: what pytest prints.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def write(self, **files: str) -> None:
        """Write files of the project or of the team, by their paths."""
        lay_out(files, self.folder)

    def run(self, *words: str) -> tuple[dict[str, int], pytest.LineMatcher]:
        """Run pytest with *words* in this process; return its outcomes and its lines."""
        self.capsys.readouterr()
        sys.modules.pop("test_image", None)  # It may be that of another folder.
        pytest.main([*WORDS, *words])
        lines = self.capsys.readouterr().out.splitlines()
        return pytest.RunResult.parse_summary_nouns(lines), pytest.LineMatcher(lines)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    """An engine in place of Docker's, whose servers send back what they get."""
    return stub_engine(monkeypatch)


@pytest.fixture
def team(
    tmp_path: Path, engine: StubEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Team:
    """A team in the current folder."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    team = Team(tmp_path, capsys)
    team.write(
        **{
            "service/pyproject.toml": project("demo"),
            "service/code/score.py": SCORE,
            "test_image.py": TESTS,
        }
    )
    azureml_tasks.build("service")
    engine.events.clear()
    return team


def test_a_test_asks_the_image(team: Team, engine: StubEngine) -> None:
    """One container serves all tests; the report of a failed one has its log, and others have not."""
    outcomes, lines = team.run("--azureml-image=service")

    assert {"passed": 2, "failed": 2} == outcomes
    assert ["test demo", "serve demo", "end demo"] == engine.events
    assert 1 == lines.lines.count("log of demo:1.2.3")
    lines.fnmatch_lines(
        ["*- log of demo:1.2.3 during the test -*", "log of demo:1.2.3", "*_ test_another_failure _*"]
    )


def test_without_the_option_its_tests_are_skipped(team: Team, engine: StubEngine) -> None:
    """Other tests run, and no engine is opened."""
    outcomes, lines = team.run("-rs")

    assert {"passed": 1, "failed": 1, "skipped": 2} == outcomes
    lines.fnmatch_lines(["SKIPPED * azureml_image needs --azureml-image FOLDER"])
    assert [] == engine.events


@pytest.mark.parametrize("flag", ["--azureml-image", "--azureml-image-name"])
def test_an_empty_value(flag: str, team: Team, engine: StubEngine) -> None:
    """It is a mistake, so that an empty variable of a CI system skips no test."""
    team.capsys.readouterr()
    code = pytest.main([*WORDS, f"{flag}="])

    error = team.capsys.readouterr().err
    assert (4, f"ERROR: {flag}: is empty\n    Give it a value, or leave it out.") == (code, error.strip())
    assert [] == engine.events


def test_the_folder_in_the_configuration_of_pytest(team: Team, engine: StubEngine) -> None:
    """It is relative to the rootdir; nothing is built that is up to date."""
    team.write(**{"pytest.ini": "[pytest]\nazureml_image = service\n"})
    outcomes, _ = team.run("--azureml-image-build", "-k", "test_answer")

    assert {"passed": 1, "deselected": 3} == outcomes
    assert ["test demo", "serve demo", "end demo"] == engine.events


def test_changed_files(team: Team, engine: StubEngine) -> None:
    """What was built is tested, with a warning; with --azureml-image-build it is built first."""
    team.write(**{"service/code/score.py": f"{SCORE}# changed\n"})
    old, new = (
        team.run("--azureml-image=service", "-k", "test_answer", *more)
        for more in ((), ("--azureml-image-build",))
    )

    assert {"passed": 1, "deselected": 3, "warnings": 1} == old[0]
    old[1].fnmatch_lines(["*ImageWarning: files have changed since demo:1.2.3 was built*"])
    assert {"passed": 1, "deselected": 3} == new[0]
    assert [
        "test demo",
        "serve demo",
        "end demo",
        "build demo",
        "test demo",
        "serve demo",
        "end demo",
    ] == engine.events


def test_one_of_several_images(team: Team, engine: StubEngine) -> None:
    """--azureml-image-name says which; it alone is built."""
    images = "[tool.azureml-image.images.cpu]\n[tool.azureml-image.images.gpu]\n"
    team.write(**{"service/pyproject.toml": project("demo", images)})
    outcomes, _ = team.run(
        *("--azureml-image=service", "--azureml-image-name=gpu", "--azureml-image-build", "-k", "answer"),
    )

    assert {"passed": 1, "deselected": 3} == outcomes
    assert ["build demo-gpu", "test demo-gpu", "serve demo-gpu", "end demo-gpu"] == engine.events


@pytest.mark.parametrize(
    ("images", "words", "error"),
    [
        (
            "[tool.azureml-image.images.cpu]\n",
            ["--azureml-image-name=gpu"],
            ['--azureml-image-name: is "gpu", which is not an image of the table', "    Images: cpu."],
        ),
        (
            "",
            ["--azureml-image-name=gpu"],
            [
                '--azureml-image-name: is "gpu", but the table has no images: it is the image itself',
                "    Leave it out.",
            ],
        ),
        (
            "[tool.azureml-image.images.cpu]\n[tool.azureml-image.images.gpu]\n",
            [],
            [
                "azureml_image: is for one image, and the table has several: cpu, gpu",
                "    Add: --azureml-image-name cpu",
            ],
        ),
    ],
)
def test_a_name_that_does_not_fit(images: str, words: list[str], error: list[str], team: Team) -> None:
    """The error names the flag that was typed, and the one to add."""
    team.write(**{"service/pyproject.toml": project("demo", images)})
    outcomes, lines = team.run("--azureml-image=service", *words, "-k", "test_answer")

    assert {"errors": 1, "deselected": 3} == outcomes
    begin = lines.lines.index(error[0])
    assert [*error, "", "1 problem; nothing serves."] == lines.lines[begin : begin + 4]


def test_an_image_that_fails_its_smoke_test(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tests are errors with the report, and without a traceback of our code."""
    stub_engine(monkeypatch, "test demo")
    outcomes, lines = team.run("--azureml-image=service")

    assert {"passed": 1, "failed": 1, "errors": 2} == outcomes
    lines.fnmatch_lines(["demo:1.2.3 failed its smoke test*", "Nothing serves."])
    lines.no_fnmatch_line("*pytest_plugin.py*")
    lines.no_fnmatch_line("*above exception*")


def test_a_folder_without_a_project(team: Team) -> None:
    """The error is the one of the tasks."""
    (team.folder / "empty").mkdir()
    outcomes, lines = team.run("--azureml-image=empty", "-k", "test_answer")

    assert {"errors": 1, "deselected": 3} == outcomes
    lines.fnmatch_lines(["pyproject.toml: does not exist in *empty*"])


def test_a_folder_that_does_not_exist(team: Team) -> None:
    """The error names the flag that was typed, and no command that needs the folder."""
    outcomes, lines = team.run("--azureml-image=nix", "-k", "test_answer")

    assert {"errors": 1, "deselected": 3} == outcomes
    begin = lines.lines.index(f"--azureml-image: {team.folder}/nix is not a folder")
    assert [
        "    Name the folder of the project's pyproject.toml.",
        "",
        "1 problem; nothing was done.",
    ] == lines.lines[begin + 1 : begin + 4]


def test_a_log_that_cannot_be_read(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of the test says why."""

    def fail(*_: object) -> str:
        raise azureml_tasks.EngineError("The engine is gone.")

    monkeypatch.setattr("azureml_tasks.library.serving.Server.log", fail)
    _, lines = team.run("--azureml-image=service", "-k", "test_failure")

    lines.fnmatch_lines(["*- log of demo:1.2.3 during the test -*", "The engine is gone."])


def test_the_log_of_one_test(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins with the test, so that nobody reads what earlier tests have caused."""
    begins: list[float] = []

    def log(_: object, since: float) -> str:
        begins.append(since)
        return ""

    monkeypatch.setattr("azureml_tasks.library.serving.Server.log", log)
    team.write(
        **{"test_image.py": "def test_1(azureml_image): assert 0\ndef test_2(azureml_image): assert 0\n"}
    )
    team.run("--azureml-image=service")

    assert 2 == len(begins)
    assert begins[0] < begins[1]


def test_a_long_log(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last lines are shown."""
    monkeypatch.setattr(
        "azureml_tasks.library.serving.Server.log", lambda *_: "".join(f"line {n}\n" for n in range(1, 104))
    )
    _, lines = team.run("--azureml-image=service", "-k", "test_failure")

    lines.fnmatch_lines(["*- log of demo:1.2.3 during the test, last 100 lines -*", "line 4", "line 103"])
    lines.no_fnmatch_line("line 3")
