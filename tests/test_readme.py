"""The README says what is: its tables are the code's, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import azureml_tasks
from azureml_tasks import errors
from azureml_tasks.cli.options import OPTIONS
from azureml_tasks.config import schema
from tests.cases import lay_out
from tests.consumers import environment, invoke

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
SCORE, TASKS, COMPOSED, ALONE = [text for language, text in BLOCKS if language == "python"]
(TABLE,) = [text for language, text in BLOCKS if language == "toml"]


def test_the_settings_are_those_that_are_declared() -> None:
    """The settings' tables are what `python3 tasks.py docs` writes."""
    written = README.split("<!-- settings:begin -->\n")[1].split("\n<!-- settings:end -->")[0]

    assert schema.markdown() == written


def test_the_exit_codes_are_those_of_the_errors() -> None:
    """Every class of error has its code in the table, and Ctrl-C, SIGTERM and a bug have theirs."""
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    classes = {cls.exit_code for cls in vars(errors).values() if getattr(cls, "exit_code", None) is not None}

    assert classes | {0, 1, 130, 141, 143} == listed


def test_every_option_of_a_run_has_its_row() -> None:
    """Flags, variables and keys of Invoke's configuration are all named."""
    variables = re.findall(r"`INVOKE_AZUREML_IMAGE_([A-Z_]+)(?:=\S*)?` \| `azureml_image\.(\w+)`", README)

    assert [(name.upper(), name) for name in OPTIONS] == variables


def test_the_quick_start_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder with the quick start's three files is a project without a mistake or a warning."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    lay_out({"pyproject.toml": TABLE, "score.py": SCORE, "tasks.py": TASKS}, tmp_path)
    plan = azureml_tasks.plan(azureml_tasks.load(tmp_path))

    assert (("contoso.azurecr.io/adder:1.0.0",), {"AZUREML_ENTRY_SCRIPT": "score.py"}, ()) == (
        plan.names,
        plan.env,
        plan.warnings,
    )
    assert ["code/", "code/score.py"] == [file.name for file in plan.files]


def test_the_collections_compose(tmp_path: Path) -> None:
    """The example of composing has the tasks that its comments name, and each runs in its project."""
    other = TABLE.replace('"adder"', '"b"')
    files = {"pyproject.toml": TABLE, "score.py": SCORE, "tasks.py": COMPOSED}
    lay_out({**files, "services/b/pyproject.toml": other, "services/b/score.py": SCORE}, tmp_path)
    listed = invoke(tmp_path, "--list")
    images = [invoke(tmp_path, f"{name}.check", env=environment()).out for name in ("serving", "b")]

    assert {"scan", "scan-b", "serving.build", "b.build"} <= set(listed.out.split())
    assert ["contoso.azurecr.io/adder:1.0.0", "contoso.azurecr.io/b:1.0.0"] == [
        re.findall(r"^image +(\S+)", text, re.MULTILINE)[0] for text in images
    ]


def test_the_core_works_without_invoke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example without Invoke prints the Dockerfile."""
    lay_out({"services/b/pyproject.toml": TABLE, "services/b/score.py": SCORE}, tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(ALONE, "README.md", "exec"), {})  # noqa: S102 -- it is what a reader would run
    plan = azureml_tasks.plan(azureml_tasks.load(tmp_path / "services" / "b"))

    assert azureml_tasks.render(plan) + "\n" == capsys.readouterr().out


def test_it_opens_with_the_two_commands() -> None:
    """`demo` and `test` stand before the first heading of a section, and are tasks of ours."""
    opening = README.split("\n## ")[0]
    tasks = (Path(__file__).parents[1] / "tasks.py").read_text(encoding="utf-8")

    commands = re.findall(r"^\$ python3 tasks\.py (\w+)", opening, re.MULTILINE)
    assert ["demo", "test"] == commands
    assert set(commands) <= set(re.findall(r"^def (\w+)", tasks, re.MULTILINE))
