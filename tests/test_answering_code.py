"""A smoke test proves something only if code of the project answers, or a script that the base brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from azureml_tasks.built_image import BuiltImage
from azureml_tasks.cli.console import Console
from azureml_tasks.commands.check import check
from azureml_tasks.commands.prepare import prepare_build
from azureml_tasks.commands.run_context import RunContext
from azureml_tasks.engines.docker.engine import open_docker
from azureml_tasks.errors import SettingsError
from azureml_tasks.planning.plan import plan
from azureml_tasks.project import script_search
from azureml_tasks.project.ignore import Matcher
from azureml_tasks.project.load import load
from azureml_tasks.project.script_search import entry_scripts
from tests.cases import lay_out
from tests.consumers import DEAD
from tests.fake_engine import IMAGE_ID, FakeEngine, give_image, ready_engine
from tests.json_reports import report_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azureml_tasks.planning.plan import Plan

OWN = "contoso.azurecr.io/bases/serving:4"
"""A base of which nobody knows whether it brings a script."""
REQUESTS = "[tool.azureml-image.smoke-test]\nrequests = [{ body = 1 }]\n"
SCRIPT = "def init(): ...\ndef run(data): ...\n"
PROBLEM = "tool.azureml-image.smoke-test.requests is set, and the image has no code that answers"
ENTRY = "AZUREML_ENTRY_SCRIPT=serve.py"


def write(folder: Path, table: str, base: str = OWN, **files: str) -> Path:
    """Write a project with this base, and without code unless *files* have it."""
    head = f'[project]\nname = "demo"\nversion = "1"\n\n[tool.azureml-image]\nbase = "{base}"\n'
    return lay_out({"pyproject.toml": head + table, "model/m.bin": "1", **files}, folder)


def read(folder: Path, table: str, base: str = OWN, **files: str) -> Plan:
    """Return the plan of such a project."""
    return plan(load(write(folder, table, base, **files)))


@pytest.mark.parametrize(
    ("base", "table", "stands_in", "is_missing"),
    [
        (OWN, "", True, False),
        (OWN, '[tool.azureml-image.smoke-test]\nmodel = "model"\n', True, False),
        (OWN, REQUESTS, False, True),
        (OWN, 'model = "model"\n', False, True),
        (OWN, 'env = { AZUREML_ENTRY_SCRIPT = "a.py" }\n' + REQUESTS, False, False),
        (OWN, REQUESTS + 'env = { AZUREML_ENTRY_SCRIPT = "a.py" }\n', False, False),
        ("mlflow-ubuntu18.04-py37-cpu-inference", REQUESTS, False, False),
        ("curated/mlflow-py312-inference", 'model = "model"\n', False, False),
        ("curated/mlflow-py312-inference", "", False, False),
        ("minimal-py312-inference", "", True, False),
        ("curated/foundation-model-inference", REQUESTS, False, True),
    ],
)
def test_the_stand_in_serves_only_if_nothing_has_to_be_answered(
    base: str, table: str, stands_in: bool, is_missing: bool, tmp_path: Path
) -> None:
    """Not for requests, not for a model in the image, and not in the place of another script."""
    of_base = {"model/MLmodel": "flavors: {}\n"} if "mlflow" in base else {}
    planned = read(tmp_path, table, base, **of_base)

    assert (stands_in, is_missing) == (planned.smoke_test.default_script, planned.missing_code is not None)


def test_code_of_the_project_answers(tmp_path: Path) -> None:
    """Then nothing is missing, whatever the base."""
    planned = read(tmp_path, REQUESTS, **{"code/score.py": SCRIPT})

    assert (False, None) == (planned.smoke_test.default_script, planned.missing_code)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine that answers, and has no image yet."""
    with ready_engine() as fake:
        monkeypatch.setenv("DOCKER_HOST", fake.host)
        yield fake


def report(folder: Path) -> dict[str, Any]:
    """Return what `image.check --json` prints."""
    run = RunContext(folder=folder, reporter=Console())
    checked = check(run)
    return {**report_of(run, checked), "warnings": [*map(str, checked.plan.warnings)]}


def test_a_base_on_the_engine_decides(engine: FakeEngine, tmp_path: Path) -> None:
    """Without a script of its own the table is wrong, before anything is built; with one it is right."""
    folder = write(tmp_path, REQUESTS, **{"src/score.py": SCRIPT})
    give_image(engine, OWN, "PATH=/bin")
    without = report(folder)
    with pytest.raises(SettingsError) as caught:
        prepare_build(RunContext(folder=folder, reporter=Console()))
    give_image(engine, OWN, ENTRY)
    own = report(folder)

    fix = 'src/score.py defines init() and run(). Write: code = "src"'
    problem = {"file": "pyproject.toml", "line": 8, "what": PROBLEM, "fix": fix}
    (error,) = without["errors"]
    assert error["file"].endswith(f"/{problem.pop('file')}")
    assert (problem, []) == ({name: error[name] for name in problem}, without["warnings"])
    assert f"pyproject.toml:8: {PROBLEM}\n    {fix}\n\n1 problem; nothing was done." == str(caught.value)
    assert ([], []) == (own["errors"], own["warnings"])


@pytest.mark.parametrize("table", ["", REQUESTS])
def test_a_script_with_another_name_has_to_be_named(table: str, engine: FakeEngine, tmp_path: Path) -> None:
    """Code without score.py serves nothing by itself: the table is wrong unless the base names a script."""
    folder = write(tmp_path, table, **{"code/scoring.py": SCRIPT})
    unknown = report(folder)
    give_image(engine, OWN, "PATH=/bin")
    without = report(folder)
    give_image(engine, OWN, ENTRY)
    own = report(folder)

    what = "code has no score.py, and no entry-script is set"
    fix = 'code/scoring.py defines init() and run(). Write: entry-script = "scoring.py"'
    warning = (
        f"pyproject.toml:5: {what}. That is right only if the base brings a script of its own, which is not known "
        f"before the base is on the engine. The smoke test shows it.\n    {fix}"
    )
    assert [[warning], [], []] == [each["warnings"] for each in (unknown, without, own)]
    assert [[], [(what, fix)], []] == [
        [(error["what"], error["fix"]) for error in each["errors"]] for each in (unknown, without, own)
    ]


@pytest.mark.usefixtures("engine")
def test_check_says_that_a_base_which_is_not_here_decides(tmp_path: Path) -> None:
    """The smoke test shows it."""
    warning = (
        f"pyproject.toml:8: {PROBLEM}. That is right only if the base brings a script of its own, which is not known "
        "before the base is on the engine. The smoke test shows it.\n"
        '    Write: code = "FOLDER", the folder of the script that defines init() and run()'
    )
    checked = report(write(tmp_path, REQUESTS))

    assert ([], [warning], "requests") == (
        checked["errors"],
        checked["warnings"],
        checked["smoke_test"]["proves"],
    )


def test_check_without_an_engine_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a warning beside what is wrong with the engine."""
    monkeypatch.setenv("DOCKER_HOST", DEAD)

    assert 1 == len(report(write(tmp_path, REQUESTS))["warnings"])


def prove(folder: Path, table: str, engine: FakeEngine, *variables: str) -> None:
    """Print the docker commands of the smoke test of an image with these variables."""
    give_image(engine, IMAGE_ID, *variables)
    console = Console(dry=True)
    docker = open_docker(folder / ".azureml-image", console, project=folder, keep=False)
    image = BuiltImage(id=IMAGE_ID, names=("demo:1",), engine="docker", context_sha256="", user="u")
    assert docker.smoke_test(read(folder, table), image, print) is None


def test_a_script_of_the_base_is_never_replaced(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image itself tells which script it names, when the smoke test runs."""
    prove(tmp_path, "", engine, ENTRY)
    own = capsys.readouterr().out
    prove(tmp_path, "", engine, "PATH=/bin")
    none = capsys.readouterr().out

    assert ["run", "rm"] == [line.split()[1] for line in own.splitlines()]
    assert "AZUREML_ENTRY_SCRIPT" not in own
    assert ["create", "cp", "start", "rm"] == [line.split()[1] for line in none.splitlines()]
    assert "--env AML_APP_ROOT=/var/azureml-app --env AZUREML_ENTRY_SCRIPT=default_score.py" in none


def test_requests_are_not_sent_to_an_image_without_a_script(engine: FakeEngine, tmp_path: Path) -> None:
    """A smoke test that nothing of the project could pass is the table's mistake, not a failure of the image."""
    with pytest.raises(SettingsError) as caught:
        prove(tmp_path, REQUESTS, engine, "PATH=/bin")
    prove(tmp_path, REQUESTS, engine, ENTRY)

    assert PROBLEM in str(caught.value)


def test_the_search_for_scripts_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest come first, five at most; what is deep, hidden, linked or too much is not looked at."""
    deep = "/".join("abcdefghi")
    names = [f"{n}/s.py" for n in range(6)] + [f"{deep}/s.py", ".git/s.py", "node_modules/s.py", "z.py"]
    lay_out(dict.fromkeys(names, SCRIPT), tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "0")
    matcher = Matcher([])

    near = entry_scripts(tmp_path, matcher)
    monkeypatch.setattr(script_search, "_MOST_SCRIPTS", 2)
    few = entry_scripts(tmp_path, matcher)
    monkeypatch.setattr(script_search, "_MOST_ENTRIES", 3)
    none = entry_scripts(tmp_path, matcher)

    assert ["z.py", "0/s.py", "1/s.py", "2/s.py", "3/s.py"] == near
    assert (["z.py", "0/s.py"], [], [f"{deep}/s.py"]) == (few, none, entry_scripts(tmp_path, matcher, deep))
